//! The Raft groups of this node as the peer server sees them: bytes in, bytes out.

use std::fmt::Debug;
use std::io;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use raft::id::GroupId;

use crate::environment::BoxFuture;

/// Frames of a snapshot as they arrive; an error ends them.
pub type Frames = BoxStream<'static, Result<Bytes, io::Error>>;

/// Why a group did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupsError {
    /// This node has no replica of the group.
    #[error("this node has no replica of group {0}")]
    Unknown(GroupId),
    /// The group refused or failed.
    #[error("{0}")]
    Failed(String),
}

/// The Raft groups of this node.
pub trait Groups: Debug + Send + Sync + 'static {
    /// Hands one peer message to a group.
    fn call(&self, group: GroupId, payload: Bytes) -> BoxFuture<'_, Result<Bytes, GroupsError>>;

    /// Hands a snapshot to a group.
    fn snapshot(&self, group: GroupId, frames: Frames) -> BoxFuture<'_, Result<Bytes, GroupsError>>;
}
