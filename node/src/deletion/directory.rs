//! What policies are set by and read from: the cluster's directory.
//!
//! A trait, so that the tests run on the pure state machine without a Raft group.

use std::fmt::Debug;
use std::sync::Arc;

use raft::directory::{Command, Directory, Response, View};
use raft::group::{Group, ProposeError, ReadError};
use raft::id::RequestId;
use storage::kv::Engine;
use tokio::sync::watch;

use crate::environment::BoxFuture;

/// The cluster's directory.
pub(crate) trait DirectoryRecords: Debug + Send + Sync + 'static {
    /// Proposes a command and waits for its response.
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>>;

    /// Waits until the local state holds everything that was acknowledged anywhere before this call.
    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>>;

    /// The local state.
    fn view(&self) -> View<Arc<dyn Engine>>;

    /// Tells when the local state may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl DirectoryRecords for Group<Directory> {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>> {
        Box::pin(Self::propose(self, request, command))
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(self.read_barrier())
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(self.state())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.applied()
    }
}
