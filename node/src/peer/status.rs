//! The one table between refusals and gRPC statuses, in both directions.
//!
//! A refusal is what a peer's own code says; its status carries the trailer `regnode-error`. A status without the
//! trailer was made by the transport: the peer could not be reached, or went away in the middle.

use std::error::Error;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// Trailer that names the kind of a refusal.
const TRAILER: &str = "regnode-error";

/// What a peer can say no with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The caller did not show that it is a peer.
    Unauthenticated,
    /// The request was meant for another node: an address has a new owner.
    WrongNode,
    /// The request is malformed or beyond a limit.
    Invalid,
    /// The peer has no such Raft group.
    UnknownGroup,
    /// The peer has no such disk, or the disk no such shard.
    Missing,
    /// The shard's bytes are not those that were written.
    Corrupt,
    /// The disk is full up to its reserve.
    NoSpace,
    /// Too much is under way: later.
    Busy,
    /// The disk did not answer in time.
    TimedOut,
    /// The join is refused for good: token, name, region.
    NotAdmitted,
    /// The operation failed on the peer: disk, group, shutdown.
    Failed,
    /// The caller is no member any more: the directory says so, and it never takes that back.
    Removed,
    /// The caller's certificate names another region than the directory has for it, or it asks for what does not leave
    /// this one.
    WrongRegion,
}

/// Every refusal with its status code and its name on the wire.
const TABLE: [(Refusal, Code, &str); 13] = [
    (Refusal::Unauthenticated, Code::Unauthenticated, "unauthenticated"),
    (Refusal::WrongNode, Code::Aborted, "wrong-node"),
    (Refusal::Invalid, Code::InvalidArgument, "invalid"),
    (Refusal::UnknownGroup, Code::FailedPrecondition, "unknown-group"),
    (Refusal::Missing, Code::NotFound, "missing"),
    (Refusal::Corrupt, Code::DataLoss, "corrupt"),
    (Refusal::NoSpace, Code::ResourceExhausted, "no-space"),
    (Refusal::Busy, Code::Unavailable, "busy"),
    (Refusal::TimedOut, Code::DeadlineExceeded, "timed-out"),
    (Refusal::NotAdmitted, Code::PermissionDenied, "not-admitted"),
    (Refusal::Failed, Code::Internal, "failed"),
    (Refusal::Removed, Code::PermissionDenied, "removed"),
    (Refusal::WrongRegion, Code::PermissionDenied, "wrong-region"),
];

impl Refusal {
    /// Its name, as in metrics and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Status that tells a peer, with a text for people.
    pub(super) fn status(self, message: impl Into<String>) -> Status {
        let (_, code, name) = self.row();
        let mut trailers = MetadataMap::new();
        trailers.insert(TRAILER, MetadataValue::from_static(name));
        Status::with_metadata(code, message, trailers)
    }

    /// The refusal that a status carries; `None` when the transport made it.
    pub(super) fn of(status: &Status) -> Option<Self> {
        Self::named(status.metadata().get(TRAILER)?.to_str().ok()?)
    }

    /// The refusal of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        TABLE.into_iter().find(|row| row.2 == name).map(|row| row.0)
    }

    fn row(self) -> (Self, Code, &'static str) {
        TABLE.into_iter().find(|row| row.0 == self).expect("every refusal has its row; a test holds it")
    }
}

/// A connection could not be opened: the request did not leave this node.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {message}")]
pub(super) struct ConnectFailed {
    /// Where to.
    pub(super) address: String,
    /// What went wrong.
    pub(super) message: String,
}

/// What became of a call that the peer did not answer.
pub(super) enum Broken {
    /// The request did not leave this node.
    NotSent(String),
    /// It may have been delivered.
    MaybeSent(String),
    /// The message is larger than the limit of one side.
    TooLarge(String),
}

impl Broken {
    /// Looks for the cause of a status that is no refusal.
    pub(super) fn of(status: &Status) -> Self {
        let mut source = status.source();
        while let Some(error) = source {
            if let Some(failed) = error.downcast_ref::<ConnectFailed>() {
                return Self::NotSent(failed.to_string());
            }
            source = error.source();
        }
        if status.code() == Code::OutOfRange {
            return Self::TooLarge(status.message().to_owned());
        }
        Self::MaybeSent(format!("{}: {}", status.code(), status.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_survives_the_wire() {
        for (refusal, code, name) in TABLE {
            let status = refusal.status("why");
            assert_eq!(status.code(), code);
            assert_eq!(status.message(), "why");
            assert_eq!(Refusal::of(&status), Some(refusal));
            assert_eq!(refusal.name(), name);
        }
    }

    #[test]
    fn a_status_of_the_transport_is_no_refusal() {
        let status = Status::unavailable("broken pipe");
        assert_eq!(Refusal::of(&status), None);
        assert!(matches!(Broken::of(&status), Broken::MaybeSent(_)));
    }

    #[test]
    fn a_failed_connect_is_known_as_not_sent() {
        let failed = ConnectFailed { address: "a:1".to_owned(), message: "refused".to_owned() };
        let status = Status::from_error(Box::new(failed));
        assert!(matches!(Broken::of(&status), Broken::NotSent(_)));
    }
}
