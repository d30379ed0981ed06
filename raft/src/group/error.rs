//! Errors of a group, one enum per operation. Each says whether it may have had an effect and whether to try again.

use std::path::PathBuf;
use std::time::Duration;

use storage::kv::EngineError;

use super::incarnation::Incarnation;
use super::transport::TransportError;
use crate::codec::CodecError;
use crate::id::{GroupId, NodeId};

/// Why a group or its log could not be opened, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The options contradict each other.
    #[error("group {group}: invalid timing or limits: {message}")]
    Options {
        /// The group.
        group: GroupId,
        /// What openraft says.
        message: String,
    },
    /// The engine of the log or of the state failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file operation failed.
    #[error("{path:?}: cannot {doing}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stored record could not be read.
    #[error("group {group}: damaged record")]
    Record {
        /// The group.
        group: GroupId,
        /// What is wrong with it.
        source: CodecError,
    },
    /// The replica stopped: it was shut down, or its storage failed.
    #[error("group {group}: the replica has stopped: {message}")]
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        message: String,
    },
}

/// Why a proposal has no response.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// No leader accepted the command in time. It had no effect.
    #[error("group {group} has no leader that accepts commands (waited {waited:?})")]
    Unavailable {
        /// The group.
        group: GroupId,
        /// How long was waited.
        waited: Duration,
    },
    /// The command is larger than any may be. It had no effect and will have none.
    #[error("group {group}: the command has {length_bytes} bytes, {limit_bytes} are allowed")]
    TooLarge {
        /// The group.
        group: GroupId,
        /// Length of the encoded command.
        length_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The command was accepted, but its outcome is not known: it may yet take effect.
    #[error("group {group}: the outcome of the command is not known (waited {waited:?})")]
    Unknown {
        /// The group.
        group: GroupId,
        /// How long was waited.
        waited: Duration,
    },
    /// The replica has stopped. The command may have had an effect.
    #[error("group {group}: the replica has stopped: {message}")]
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        message: String,
    },
    /// The response could not be read: the leader runs a newer program. The command had its effect.
    #[error("group {group}: the response cannot be read")]
    Response {
        /// The group.
        group: GroupId,
        /// What is wrong with it.
        source: CodecError,
    },
}

impl ProposeError {
    /// Whether the command may have had an effect, or may have one later.
    #[must_use]
    pub const fn may_have_had_effect(&self) -> bool {
        !matches!(self, Self::Unavailable { .. } | Self::TooLarge { .. })
    }

    /// Whether the same request may be proposed again with a chance of success.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unknown { .. })
    }
}

/// Why a read barrier could not be passed. Reads have no effects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader with a quorum confirmed the read in time, or this replica did not catch up. Try again later.
    #[error("group {group} could not confirm a linearizable read (waited {waited:?}): {message}")]
    Unavailable {
        /// The group.
        group: GroupId,
        /// How long was waited.
        waited: Duration,
        /// The last obstacle.
        message: String,
    },
    /// The replica has stopped.
    #[error("group {group}: the replica has stopped: {message}")]
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        message: String,
    },
}

impl ReadError {
    /// Whether trying again has a chance of success.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Why a membership change or a leader transfer did not happen.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// This node does not lead the group: ask the leader. Nothing was changed.
    #[error("group {group} is not led by this node (leader: {leader:?})")]
    NotLeader {
        /// The group.
        group: GroupId,
        /// The leader, as far as is known.
        leader: Option<NodeId>,
    },
    /// Another change is under way, or the new leader is not settled yet. Nothing was changed; try again.
    #[error("group {group}: membership cannot be changed just now: {message}")]
    Busy {
        /// The group.
        group: GroupId,
        /// What is in the way.
        message: String,
    },
    /// The change is not possible. Nothing was changed.
    #[error("group {group}: membership change refused: {message}")]
    Refused {
        /// The group.
        group: GroupId,
        /// Why.
        message: String,
    },
    /// The change was not confirmed in time; it may still happen.
    #[error("group {group}: the change was not confirmed in time")]
    Unknown {
        /// The group.
        group: GroupId,
    },
    /// The replica has stopped.
    #[error("group {group}: the replica has stopped: {message}")]
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        message: String,
    },
}

/// Why a peer's message was not answered.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The message could not be read: damaged, or of a newer program.
    #[error(transparent)]
    Message(#[from] CodecError),
    /// The replica has stopped.
    #[error("group {group}: the replica has stopped: {message}")]
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        message: String,
    },
    /// The replica waits for the first state of its incarnation, which is not the one of who asks.
    #[error("group {group}: this replica is joining incarnation {incarnation}")]
    Joining {
        /// The group.
        group: GroupId,
        /// The incarnation.
        incarnation: Incarnation,
    },
}

/// Why a group was not founded anew from a replica.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// It belongs to another incarnation than was meant: somebody else was faster. Nothing was changed.
    #[error("group {group}: this replica is of incarnation {present}, not of {expected}")]
    Incarnation {
        /// The group.
        group: GroupId,
        /// What was meant.
        expected: Incarnation,
        /// What it belongs to.
        present: Incarnation,
    },
    /// It never heard of anything: there is nothing to found from. Nothing was changed.
    #[error("group {group}: this replica is empty")]
    Empty {
        /// The group.
        group: GroupId,
    },
    /// It was shut down. Nothing was changed.
    #[error("group {group}: the replica was shut down")]
    Closed {
        /// The group.
        group: GroupId,
    },
    /// Its storage failed. It may have been founded: the next start of the node finishes what was begun.
    #[error(transparent)]
    Failed(#[from] GroupError),
}

/// Why a snapshot from a peer was not received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] CodecError),
    /// The frames came in an order, or with a content, that no sender produces.
    #[error("malformed snapshot stream: {0}")]
    Malformed(String),
    /// The bytes of a file do not have its checksum.
    #[error("snapshot file {name:?} arrived damaged")]
    Damaged {
        /// Name of the file.
        name: String,
    },
    /// The stream broke off, or stood still for too long.
    #[error("snapshot stream broke off: {0}")]
    Broken(String),
    /// Another snapshot of this group is being received, or is waited for by a replica that has joined another incarnation.
    #[error("another snapshot is being received or waited for")]
    Busy,
    /// The snapshot could not be stored or installed.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// A failed attempt to reach the leader, for logs and last obstacles.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaderCallError {
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer could not be read.
    #[error(transparent)]
    Answer(#[from] CodecError),
    /// The answer is not one to this request.
    #[error("the peer gave an answer to another question")]
    Mismatch,
    /// The peer is of another lineage of the group, and did not act on the request.
    #[error("the peer is of incarnation {0} of the group")]
    OtherIncarnation(Incarnation),
}
