//! What all operations of the gateway share.

use std::collections::BTreeSet;
use std::sync::Arc;

use raft::catalog::{Command, Response};
use raft::id::RequestId;
use raft::time::Clock;
use storage::exec::Exec;
use storage::shard::{Attempt, DiskId, ExtentIndex, ObjectId};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::budget::Budget;
use super::catalog::{CatalogError, Records};
use super::error::UploadError;
use super::holders::{Roster, ShardStore};
use super::metrics::Metrics;
use super::options::Options;
use super::placement::{Placement, PlacementError, parity, place};
use super::read::Reports;
use crate::environment::Entropy;

/// The gateway's inside.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) records: Arc<dyn Records>,
    pub(crate) store: Arc<dyn ShardStore>,
    pub(crate) roster: Arc<dyn Roster>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) exec: Exec,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// Bytes of uploads.
    pub(super) budget: Budget,
    /// Bytes that wait for clients.
    pub(super) reads: Budget,
    /// Bytes that are read for this node itself, which waits for no client.
    pub(super) copies: Budget,
    pub(super) reports: Reports,
    /// Everything that must be over before the node may stop.
    pub(super) tasks: TaskTracker,
}

impl Core {
    /// Puts the parts together.
    pub(crate) fn new(
        records: Arc<dyn Records>,
        store: Arc<dyn ShardStore>,
        roster: Arc<dyn Roster>,
        (entropy, clock): (Arc<dyn Entropy>, Arc<dyn Clock>),
        exec: Exec,
        options: Options,
        metrics: Metrics,
    ) -> Arc<Self> {
        let budget = Budget::new(options.write_budget_bytes, metrics.budget_used.clone());
        let read_bytes = usize::try_from(options.read_budget_bytes).unwrap_or(usize::MAX);
        let reads = Budget::new(read_bytes - read_bytes / 4, metrics.read_budget_used.clone());
        let copies = Budget::new(read_bytes / 4, metrics.read_budget_used.clone());
        Arc::new(Self {
            records,
            store,
            roster,
            entropy,
            clock,
            exec,
            options,
            metrics,
            budget,
            reads,
            copies,
            reports: Reports::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Where an extent would go now.
    pub(crate) fn place(
        &self,
        avoided: &BTreeSet<DiskId>,
        object: ObjectId,
        extent: ExtentIndex,
    ) -> Result<Placement, PlacementError> {
        place(&self.roster.candidates(), self.roster.is_sole(), avoided, object, extent)
    }

    /// Parity that an extent must have to be acknowledged now.
    pub(crate) fn parity(&self, avoided: &BTreeSet<DiskId>, object: ObjectId, extent: ExtentIndex) -> u8 {
        parity(&self.roster.candidates(), self.roster.is_sole(), avoided, object, extent)
    }

    /// A new attempt to write an extent.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt(self.entropy.number())
    }

    /// Proposes a command under a new request id.
    pub(crate) async fn propose(&self, command: Command) -> Result<Response, CatalogError> {
        self.records.propose(RequestId(self.entropy.id()), command).await
    }

    /// Counts an operation among those that a shutdown waits for.
    pub(super) fn begin(&self) -> Result<TaskTrackerToken, UploadError> {
        if self.tasks.is_closed() {
            return Err(UploadError::unavailable("this node is shutting down"));
        }
        Ok(self.tasks.token())
    }
}

/// A response that no state machine gives to this command.
pub(crate) fn unexpected(response: &Response) -> CatalogError {
    CatalogError::Internal { message: format!("unexpected response {response:?}") }
}
