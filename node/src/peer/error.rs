//! Why a call to a peer had no result.

use raft::id::NodeId;

use super::Refusal;

/// Why a call to a peer had no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// No connection could be made, or no address is known. The peer got nothing.
    #[error("node {node} is unreachable: {message}")]
    Unreachable {
        /// The peer.
        node: NodeId,
        /// What went wrong.
        message: String,
    },
    /// The connection broke during the call. It may have had an effect.
    #[error("node {node} did not answer: {message}")]
    Lost {
        /// The peer.
        node: NodeId,
        /// What went wrong.
        message: String,
    },
    /// No answer within the deadline. The call may have had an effect.
    #[error("node {node} did not answer in time")]
    Timeout {
        /// The peer.
        node: NodeId,
    },
    /// The peer said no.
    #[error("node {node} refused: {message}")]
    Refused {
        /// The peer.
        node: NodeId,
        /// What kind of no.
        refusal: Refusal,
        /// In its words.
        message: String,
    },
}

impl PeerError {
    /// The peer.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        match self {
            Self::Unreachable { node, .. }
            | Self::Lost { node, .. }
            | Self::Timeout { node }
            | Self::Refused { node, .. } => *node,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => matches!(refusal, Refusal::Busy | Refusal::TimedOut),
            _ => true,
        }
    }

    /// Whether the peer may have acted on the call.
    #[must_use]
    pub const fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Unreachable { .. } => false,
            Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::Refused { refusal, .. } => matches!(refusal, Refusal::Failed | Refusal::TimedOut),
        }
    }

    /// The outcome's name in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Lost { .. } => "lost",
            Self::Timeout { .. } => "timeout",
            Self::Refused { refusal, .. } => refusal.name(),
        }
    }
}
