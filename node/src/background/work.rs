//! Work on single extents, shared by repair, drain and rebalance: an extent is worked on once at a time, what failed is
//! left alone for a while, and so is a disk that failed a write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft::catalog::{CodedExtent, Command, DiskLocation, Response};
use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardName};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Metrics;
use super::cause::Cause;
use super::plan::{Case, Step, plan};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::placement::Survey;
use crate::gateway::write::{
    Avoided, Pace, Stint, Transfer, discard_shards, discard_shards_unless_current, relocate, rewrite,
};

/// Time for which an extent that could not be worked on is left alone.
const FAILURE_REST: Duration = Duration::from_secs(30);
/// The same if it was a disk's fault, which is left alone itself: another one may take the shard.
const FAULT_REST: Duration = Duration::from_secs(1);
/// Time for which a disk that failed a write is left alone: longer than an extent, so that others are tried meanwhile.
const DISK_REST: Duration = Duration::from_mins(5);
/// Extents worked on at the same time. Their memory is bounded by the node's budgets, their rate by the pace.
pub(super) const PARALLEL: usize = 4;

/// An extent's name.
pub(super) type ExtentKey = (ObjectId, ExtentIndex);

/// What became of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was changed.
    Done,
    /// Nothing was to be done, or could be.
    Idle,
    /// It could not be done, and is tried again later.
    Failed,
}

#[derive(Debug, Default)]
struct Memory {
    /// Extents that are being worked on.
    busy: BTreeSet<ExtentKey>,
    /// Extents that failed, and when to try again.
    failed: BTreeMap<ExtentKey, Instant>,
    /// Disks that failed, and when to try again.
    faulty: BTreeMap<DiskId, Instant>,
}

/// The worker that all duties share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    metrics: Metrics,
    pace: Arc<Pace>,
    rewrite_grace_seconds: u64,
    memory: Arc<Mutex<Memory>>,
}

/// Marks an extent as being worked on.
struct Claim<'a> {
    worker: &'a Worker,
    key: ExtentKey,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.worker.memory().busy.remove(&self.key);
    }
}

impl Worker {
    /// A worker within a budget of bytes per second; zero is without limit.
    pub(super) fn new(metrics: Metrics, bytes_per_second: u64, rewrite_grace_seconds: u64) -> Self {
        Self { metrics, pace: Pace::new(bytes_per_second), rewrite_grace_seconds, memory: Arc::default() }
    }

    /// Forgets what failed: another node leads, and it may see things differently.
    pub(super) fn forget(&self) {
        let mut memory = self.memory();
        memory.failed.clear();
        memory.faulty.clear();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, key: ExtentKey) -> Option<Claim<'_>> {
        let now = Instant::now();
        let mut memory = self.memory();
        memory.failed.retain(|_, again| *again > now);
        let free = !memory.failed.contains_key(&key) && memory.busy.insert(key);
        // Made only if it is free: a claim that is dropped gives the extent back.
        free.then(|| Claim { worker: self, key })
    }

    /// Disks that are left alone at present.
    pub(super) fn avoided(&self) -> BTreeSet<DiskId> {
        let now = Instant::now();
        let mut memory = self.memory();
        memory.faulty.retain(|_, again| *again > now);
        memory.faulty.keys().copied().collect()
    }

    /// Looks at an extent and does what is to be done about what it lacks and where it rests. `cause` is what the work
    /// is counted for unless its shortfall tells.
    pub(super) async fn work(&self, core: &Arc<Core>, key: ExtentKey, cause: Cause) -> Result<Outcome, CatalogError> {
        let Some(survey) = certain_survey(core) else { return Ok(Outcome::Idle) };
        let Some(_claim) = self.claim(key) else { return Ok(Outcome::Idle) };
        let (object, index) = key;
        let view = core.records.view();
        let Some(coded) = view.extent(object, index)?.and_then(|record| record.body.into_coded()) else {
            return Ok(Outcome::Idle);
        };
        let shortfall = view.shortfall(object, index)?;
        let avoided = self.avoided();
        let placement = core.place(&avoided, object, index).ok();
        let step = plan(&Case {
            object,
            index,
            coded: &coded,
            shortfall: shortfall.as_ref(),
            placement: placement.as_ref(),
            survey: &survey,
            avoided: &avoided,
            now: view.clock()?,
            rewrite_grace_seconds: self.rewrite_grace_seconds,
        });
        let cause = shortfall.and_then(|shortfall| shortfall.reason()).map_or(cause, Cause::from);
        let job = Job { worker: self, core, object, index, coded: &coded, cause };
        match step {
            Step::Keep | Step::Wait => Ok(Outcome::Idle),
            Step::Move(transfers) => Ok(job.relocate(&transfers).await),
            Step::Rewrite => Ok(job.rewrite().await),
            Step::Settle => job.settle().await,
        }
    }

    /// Copies a shard elsewhere for the sake of balance, unless the extent has changed meanwhile.
    pub(super) async fn copy(
        &self,
        core: &Arc<Core>,
        key: ExtentKey,
        coded: &CodedExtent,
        transfer: Transfer,
    ) -> Outcome {
        let Some(_claim) = self.claim(key) else { return Outcome::Idle };
        let job = Job { worker: self, core, object: key.0, index: key.1, coded, cause: Cause::Rebalance };
        job.relocate(&[transfer]).await
    }
}

/// One extent being worked on.
struct Job<'a> {
    worker: &'a Worker,
    core: &'a Arc<Core>,
    object: ObjectId,
    index: ExtentIndex,
    coded: &'a CodedExtent,
    cause: Cause,
}

impl Job<'_> {
    async fn relocate(&self, transfers: &[Transfer]) -> Outcome {
        let (core, object, index) = (self.core, self.object, self.index);
        let mut stint = self.worker.pace.stint();
        let relocated = relocate(core, object, index, self.coded, transfers, &mut stint).await;
        self.count(&stint);
        let relocated = match relocated {
            Ok(relocated) => relocated,
            Err(error) => {
                let Some(at) = error.at_fault() else { return self.failed(&error, FAILURE_REST) };
                self.worker.memory().faulty.insert(at.disk, Instant::now() + DISK_REST);
                return self.failed(&error, FAULT_REST);
            }
        };
        let command = Command::MoveShards {
            object,
            extent: index,
            expected: self.coded.attempt,
            attempt: relocated.attempt,
            moves: relocated.moves.clone(),
        };
        let done = self.propose(command, relocated.names(object, index), "shards moved").await;
        if done == Outcome::Done {
            let bytes = transfers.len() as u64 * self.coded.geometry.shard_length_bytes();
            self.worker.metrics.moved_shards.inc_by(transfers.len() as u64);
            self.worker.metrics.necessary_bytes.of(self.cause).inc_by(bytes);
        }
        done
    }

    async fn rewrite(&self) -> Outcome {
        let (core, object, index) = (self.core, self.object, self.index);
        let mut stint = self.worker.pace.stint();
        let written = rewrite(core, object, index, self.coded, &mut Avoided::default(), &mut stint).await;
        self.count(&stint);
        let written = match written {
            Ok(written) => written,
            Err(error) => return self.failed(&error, FAILURE_REST),
        };
        let command = Command::ReplaceExtent {
            object,
            extent: index,
            expected: self.coded.attempt,
            body: written.coded.clone(),
            shortfall: written.shortfall(),
        };
        let names = written.coded.names(object, index).collect();
        let done = self.propose(command, names, "extent written anew").await;
        if done == Outcome::Done {
            let geometry = written.coded.geometry;
            let bytes = geometry.profile.shards() as u64 * geometry.shard_length_bytes();
            self.worker.metrics.reencoded_extents.inc();
            self.worker.metrics.necessary_bytes.of(self.cause).inc_by(bytes);
        }
        done
    }

    /// The extent is as good as the cluster can make it.
    async fn settle(&self) -> Result<Outcome, CatalogError> {
        let command = Command::AcceptProfile { object: self.object, extent: self.index, expected: self.coded.attempt };
        self.core.propose(command).await?;
        Ok(Outcome::Done)
    }

    fn count(&self, stint: &Stint) {
        self.worker.metrics.read_bytes.of(self.cause).inc_by(stint.read_bytes);
        self.worker.metrics.written_bytes.of(self.cause).inc_by(stint.written_bytes);
    }

    fn failed(&self, error: &dyn std::error::Error, rest: Duration) -> Outcome {
        self.worker.metrics.reencode_failures.inc();
        let (object, extent, cause) = (self.object, self.index.0, self.cause.name());
        warn!(%object, extent, cause, %error, "extent cannot be brought to its redundancy or place yet");
        let again = Instant::now() + rest;
        self.worker.memory().failed.insert((self.object, self.index), again);
        Outcome::Failed
    }

    /// Has the catalog refer to what was written, or removes it again.
    async fn propose(&self, command: Command, written: Vec<(DiskLocation, ShardName)>, what: &str) -> Outcome {
        let (object, extent, cause) = (self.object, self.index.0, self.cause.name());
        match self.core.propose(command).await {
            Ok(Response::Done) => {
                info!(%object, extent, cause, before = %self.coded.geometry.profile, "{what}");
                Outcome::Done
            }
            Ok(refusal) => {
                if refusal != Response::Stale {
                    warn!(%object, extent, cause, ?refusal, "the catalog refused a layout");
                }
                // The refusal may be that of a repetition whose first copy had its effect.
                discard_shards_unless_current(self.core, written).await;
                Outcome::Idle
            }
            Err(error) => {
                if !error.is_uncertain() {
                    discard_shards(self.core, written);
                }
                self.failed(&error, FAILURE_REST)
            }
        }
    }
}

/// The survey that work of the leader rests on; `None` while it is not certain who is registered.
pub(super) fn certain_survey(core: &Core) -> Option<Survey> {
    Some(core.roster.survey()).filter(|survey| survey.confirmed)
}
