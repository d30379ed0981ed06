//! The way from one node's group to its peers: opaque bytes to a node, an answer back.
//!
//! What holds: every call ends by its deadline, and an error says whether the request may have reached the peer. What
//! the bytes mean is the group's own ([`super::message`], [`super::snapshot_stream`]); a transport never looks inside.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::id::{GroupId, NodeId};

/// Most bytes of one request or answer. A transport must carry messages of this size: one append may hold a maximal
/// entry above its byte budget.
pub const MESSAGE_LIMIT_BYTES: usize = 32 << 20;

/// Why a call had no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The peer could not be reached. The request was not delivered.
    #[error("peer unreachable: {0}")]
    Unreachable(String),
    /// No answer came within the deadline. The request may have been delivered.
    #[error("no answer from the peer within the deadline")]
    Timeout,
    /// The peer, or the connection after the request went out, reported a failure. The request may have been
    /// delivered.
    #[error("peer answered with an error: {0}")]
    Remote(String),
}

impl TransportError {
    /// Whether the request may have been delivered all the same.
    #[must_use]
    pub const fn may_have_had_effect(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}

/// Carries a group's messages to peers, whose [`Group::handle`](super::Group::handle) and
/// [`Group::receive_snapshot`](super::Group::receive_snapshot) answer them.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends one request and waits at most `deadline` for its answer, connecting included.
    ///
    /// `address` is what the group's membership says, which may be stale: a transport that knows better uses that. It
    /// is empty on a replica that has heard from its leader and not yet who the members are: to a transport that knows
    /// no address either, the peer is unreachable. A call that panics ends the replica.
    fn call<'a>(
        &'a self,
        target: NodeId,
        address: &'a str,
        group: GroupId,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>>;

    /// Sends a stream of frames (each below 1 MiB) and waits for the one answer. There is no limit on the whole, but
    /// none of its steps (connecting, the next frame taken) may take longer than `idle`; the answer after the last frame
    /// may, since the peer installs first, within a bound of the transport's own. A stream that ends early is the sender's way to give up: the receiver notices by itself.
    fn send_snapshot<'a>(
        &'a self,
        target: NodeId,
        address: &'a str,
        group: GroupId,
        frames: BoxStream<'static, Bytes>,
        idle: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>>;
}
