//! What the background work has before it and how far it has come, for operators: on every node the same, since it is
//! read from the catalog's totals; only what was moved is counted by the node that led meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{
    DiskLocation, JobId, JobKind, JobRecord, JobScope, PlacementTotals, ShortfallKey, TotalsRecord, View,
};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use storage::kv::Engine;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::cause::Cause;
use super::progress::{Meter, Progress, Rate, Unit};
use super::rebalance::Balance;
use super::{Metrics, Options};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Repositories that leave are counted up to this.
const LEAVING_MAX: usize = 1000;
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// Extents below their redundancy.
    pub repair: RepairOverview,
    /// Nodes and disks that are being emptied, by disk.
    pub drains: Vec<DrainOverview>,
    /// How equally full the disks are.
    pub rebalance: RebalanceOverview,
    /// Bytes moved by this node since its start, by cause.
    pub moved: BTreeMap<String, MovedBytes>,
    /// Garbage that waits to be collected, and that was.
    pub garbage: GarbageOverview,
    /// Deletion jobs that run.
    pub jobs: Vec<JobOverview>,
    /// Content that goes because it rests in another region since.
    pub leaving: LeavingOverview,
}

/// Content that goes because it rests in another region since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingOverview {
    /// Repositories of which something is still here; counted up to a thousand.
    pub repositories: u64,
}

/// Extents below their redundancy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RepairOverview {
    /// Extents on the list, and how fast they leave it.
    pub progress: Progress,
    /// Extents on the list.
    pub extents: u64,
    /// Those of which more is lost than their profile bears.
    pub lost: u64,
    /// The others by the number of further losses that they bear.
    pub by_spare: BTreeMap<u8, u64>,
}

/// A disk that is being emptied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrainOverview {
    /// Its node.
    pub node: u64,
    /// The disk.
    pub disk: String,
    /// Shards that it still holds.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How far it has come since this node began to look.
    pub progress: Progress,
}

/// How equally full the disks are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RebalanceOverview {
    /// Whether all are within the band.
    pub balanced: bool,
    /// Bytes that are to be moved at least.
    pub bytes_left: u64,
    /// How far it has come.
    pub progress: Progress,
    /// What would move.
    pub moves: Vec<MoveOverview>,
    /// The disks that take part.
    pub disks: Vec<DiskOverview>,
}

/// Bytes that go from one disk to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveOverview {
    /// Node that gives.
    pub from_node: u64,
    /// Its disk.
    pub from_disk: String,
    /// Node that takes.
    pub to_node: u64,
    /// Its disk.
    pub to_disk: String,
    /// How much.
    pub bytes: u64,
}

/// How full a disk is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskOverview {
    /// Its node.
    pub node: u64,
    /// The disk.
    pub disk: String,
    /// Size of its file system.
    pub capacity_bytes: u64,
    /// Bytes of the shards that it should hold.
    pub used_bytes: u64,
}

/// Bytes that were moved for one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedBytes {
    /// Read.
    pub read: u64,
    /// Written, in vain too.
    pub written: u64,
    /// Written of necessity.
    pub necessary: u64,
}

/// Garbage that waits to be collected, and that was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GarbageOverview {
    /// Things in the queue, due or not.
    pub queued: u64,
    /// When the first of them is due, milliseconds since the Unix epoch.
    pub next_deadline_milliseconds: Option<u64>,
    /// Bytes of blobs that no manifest uses.
    pub unreferenced_bytes: u64,
    /// Sets of collected shards that wait to be unlinked.
    pub discards: u64,
    /// Their bytes.
    pub discarded_bytes: u64,
    /// Things collected ever.
    pub collected_items: u64,
    /// Bytes of the blobs among them.
    pub collected_bytes: u64,
    /// When something was last collected, milliseconds since the Unix epoch.
    pub last_collected_milliseconds: Option<u64>,
    /// Things collected in each second of late.
    pub items_per_second: f64,
    /// Bytes collected in each second of late.
    pub bytes_per_second: f64,
    /// Most things that are collected in each second; 0 is without limit.
    pub pace_items_per_second: u64,
}

impl GarbageOverview {
    /// As fast as this says, with what the catalog says now.
    #[must_use]
    pub(crate) fn with(self, totals: &TotalsRecord, next: Option<Timestamp>) -> Self {
        Self {
            queued: totals.garbage.items(),
            next_deadline_milliseconds: next.map(|next| next.0),
            unreferenced_bytes: totals.unreferenced_bytes,
            discards: totals.discards,
            discarded_bytes: totals.discarded_bytes,
            collected_items: totals.collected_items,
            collected_bytes: totals.collected_bytes,
            last_collected_milliseconds: totals.last_collected.map(|time| time.0),
            ..self
        }
    }
}

/// A deletion job that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOverview {
    /// Its number.
    pub job: u64,
    /// `retention` or `tags`.
    pub kind: String,
    /// Namespace or repository that it goes through, empty for the root.
    pub scope: String,
    /// Tags that it has looked at.
    pub examined: u64,
    /// Tags that it has deleted.
    pub deleted: u64,
    /// Tags that it let be.
    pub kept: u64,
    /// Tags that the policy kept it from deleting.
    pub protected: u64,
}

/// Makes overviews, one after another.
#[derive(Debug)]
struct Observer {
    core: Arc<Core>,
    metrics: Metrics,
    options: Options,
    repair: Meter,
    drains: BTreeMap<DiskLocation, Meter>,
    rebalance: Meter,
    collected_items: Rate,
    collected_bytes: Rate,
    /// Version of the policies by which nothing leaves any more.
    nothing_leaves: Option<u64>,
}

/// Looks for ever, and tells what it sees.
pub(super) async fn observe(
    core: Arc<Core>,
    metrics: Metrics,
    options: Options,
    overviews: watch::Sender<Arc<Overview>>,
) {
    let (repair, rebalance) = (Meter::new(Unit::Extents), Meter::new(Unit::Bytes));
    let mut observer = Observer {
        core,
        metrics,
        options,
        repair,
        drains: BTreeMap::new(),
        rebalance,
        collected_items: Rate::default(),
        collected_bytes: Rate::default(),
        nothing_leaves: None,
    };
    loop {
        match observer.look(Instant::now()) {
            Ok(overview) => {
                overviews.send_replace(Arc::new(overview));
            }
            Err(error) => debug!(%error, "the background work cannot be looked at"),
        }
        sleep(LOOK_INTERVAL).await;
    }
}

impl Observer {
    fn look(&mut self, now: Instant) -> Result<Overview, CatalogError> {
        let view = self.core.records.view();
        let survey = self.core.roster.survey();
        let totals = view.totals()?;
        let held = view.disks()?;
        let garbage = self.garbage(&totals, view.garbage_next()?, now);
        let leaving_content = self.leaving(&view)?;
        let jobs = view.running_jobs()?.into_iter().map(job_overview).collect();
        let mut by_spare = totals.shortfalls_by_spare;
        let lost = by_spare.remove(&ShortfallKey::LOST).unwrap_or(0);
        let repair = RepairOverview {
            progress: self.repair.observe(totals.shortfalls.saturating_sub(lost), now),
            extents: totals.shortfalls,
            lost,
            by_spare,
        };
        let leaving: Vec<(DiskLocation, PlacementTotals)> =
            held.iter().filter(|(at, _)| survey.is_leaving(*at)).copied().collect();
        let drains = self.drains(&leaving, now);
        let rebalance = self.rebalance(&Balance::of(&survey, &held, self.options.band_percent), now);
        let bare = repair.by_spare.get(&0).copied().unwrap_or(0);
        for (gauge, value) in [
            (&self.metrics.shortfalls, repair.extents),
            (&self.metrics.shortfalls_bare, bare),
            (&self.metrics.shortfalls_lost, lost),
            (&self.metrics.leaving_repositories, leaving_content.repositories),
            (&self.metrics.drain_left_bytes, drains.iter().map(|drain| drain.bytes).sum()),
            (&self.metrics.rebalance_left_bytes, rebalance.bytes_left),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        Ok(Overview { repair, drains, rebalance, moved: self.moved(), garbage, jobs, leaving: leaving_content })
    }

    /// What goes because it rests in another region. Nobody adds to it: once there is none, there is none by the same
    /// policies.
    fn leaving(&mut self, view: &View<Arc<dyn Engine>>) -> Result<LeavingOverview, CatalogError> {
        let version = view.policy_version()?;
        if self.nothing_leaves == Some(version) {
            return Ok(LeavingOverview::default());
        }
        let repositories = view.evictable(None, LEAVING_MAX)?.len() as u64;
        self.nothing_leaves = (repositories == 0).then_some(version);
        Ok(LeavingOverview { repositories })
    }

    fn garbage(&mut self, totals: &TotalsRecord, next: Option<Timestamp>, now: Instant) -> GarbageOverview {
        let of_late = GarbageOverview {
            items_per_second: self.collected_items.observe(totals.collected_items, now),
            bytes_per_second: self.collected_bytes.observe(totals.collected_bytes, now),
            pace_items_per_second: self.options.garbage_items_per_second,
            ..GarbageOverview::default()
        };
        of_late.with(totals, next)
    }

    fn drains(&mut self, leaving: &[(DiskLocation, PlacementTotals)], now: Instant) -> Vec<DrainOverview> {
        self.drains.retain(|at, _| leaving.iter().any(|(left, _)| left == at));
        let drains = leaving.iter().map(|(at, totals)| DrainOverview {
            node: at.node.0,
            disk: at.disk.to_string(),
            shards: totals.shards,
            bytes: totals.bytes,
            progress: self.drains.entry(*at).or_insert_with(|| Meter::new(Unit::Bytes)).observe(totals.bytes, now),
        });
        drains.collect()
    }

    fn rebalance(&mut self, balance: &Balance, now: Instant) -> RebalanceOverview {
        let flows = balance.flows();
        let bytes_left = flows.iter().map(|flow| flow.bytes).sum();
        let moves = flows.iter().map(|flow| MoveOverview {
            from_node: flow.from.node.0,
            from_disk: flow.from.disk.to_string(),
            to_node: flow.to.node.0,
            to_disk: flow.to.disk.to_string(),
            bytes: flow.bytes,
        });
        let disks = balance.disks().iter().map(|(at, fill)| DiskOverview {
            node: at.node.0,
            disk: at.disk.to_string(),
            capacity_bytes: fill.capacity_bytes,
            used_bytes: fill.used_bytes,
        });
        RebalanceOverview {
            balanced: balance.is_balanced(),
            bytes_left,
            progress: self.rebalance.observe(bytes_left, now),
            moves: moves.collect(),
            disks: disks.collect(),
        }
    }

    fn moved(&self) -> BTreeMap<String, MovedBytes> {
        let metrics = &self.metrics;
        let moved = Cause::ALL.map(|cause| {
            let moved = MovedBytes {
                read: metrics.read_bytes.of(cause).get(),
                written: metrics.written_bytes.of(cause).get(),
                necessary: metrics.necessary_bytes.of(cause).get(),
            };
            (cause.name().to_owned(), moved)
        });
        moved.into_iter().filter(|(_, moved)| *moved != MovedBytes::default()).collect()
    }
}

fn job_overview((job, record): (JobId, JobRecord)) -> JobOverview {
    let kind = match record.kind {
        JobKind::Retention => "retention",
        JobKind::Tags { .. } => "tags",
    };
    let scope = match record.scope {
        JobScope::Namespace(prefix) => prefix,
        JobScope::Repository(repository) => repository.as_str().to_owned(),
    };
    let JobRecord { examined, deleted, kept, protected, .. } = record;
    JobOverview { job: job.0, kind: kind.to_owned(), scope, examined, deleted, kept, protected }
}
