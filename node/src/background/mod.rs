//! Work that nobody waits for: what was lost rebuilt, nodes and disks emptied, disks kept equally full, garbage collected
//! and unlinked, many tags deleted, policies brought into force, sessions expired.
//!
//! Only the catalog's leader works (`leader` is the loop of it), and stops as soon as it leads no more. What is to be
//! done follows from the catalog's state and the nodes alone, so a new leader goes on where the old one stopped, and
//! work done twice is harmless. What is to be done is planned by pure functions (`plan`, `ledger::standing`,
//! `rebalance::balance`); thin loops carry it out.
//!
//! `ledger` puts what is gone on the catalog's list and takes off what is back; `outgrown` puts on it what the cluster
//! has outgrown; `repair` works it off; `drain` and `rebalance` move what rests in the wrong place. The three of them
//! share one `work`er and its pace. `collect` takes garbage out of the catalog and `sweep` unlinks its shards; `retention`
//! begins deletion jobs, `jobs` carries them out; `policies` brings what operators set into force, `evict` takes away what
//! rests in another region since, `fences` lifts what a move left behind. `overview` tells every
//! node how far all this has come.

mod cause;
mod collect;
mod drain;
mod evict;
mod expire;
mod fences;
mod jobs;
mod leader;
mod ledger;
mod metrics;
mod options;
mod outgrown;
mod overview;
mod plan;
mod policies;
mod progress;
mod rebalance;
mod repair;
mod retention;
mod sweep;
mod work;

use std::sync::Arc;
use std::time::Duration;

use raft::time::Timestamp;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::deletion::DirectoryRecords;
use crate::gateway::Gateway;
use leader::lead;

pub use cause::{Cause, PerCause};
pub use metrics::Metrics;
pub use options::Options;
pub use overview::{
    DiskOverview, DrainOverview, GarbageOverview, JobOverview, LeavingOverview, MoveOverview, MovedBytes, Overview,
    RebalanceOverview, RepairOverview,
};
pub(crate) use progress::Rate;
pub use progress::{Progress, Unit};

/// Tells the present moment; `None` while it is not certain that this node's clock is right.
pub type Present = Arc<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// The running background work of a node. Dropping it ends the work.
#[derive(Debug)]
pub struct Background {
    tasks: Vec<AbortOnDropHandle<()>>,
    overviews: watch::Receiver<Arc<Overview>>,
}

impl Background {
    /// Begins the work.
    #[must_use]
    pub(crate) fn start(
        gateway: &Gateway,
        directory: &Arc<dyn DirectoryRecords>,
        present: Present,
        options: &Options,
        metrics: &Metrics,
    ) -> Self {
        let core = gateway.core();
        let items = options.garbage_items_per_second;
        let (overviews, seen) = watch::channel(Arc::default());
        let grace = Duration::from_secs(options.node_grace_seconds);
        let worker = work::Worker::new(metrics.clone(), options.bytes_per_second, options.rewrite_grace_seconds);
        let rebalance = rebalance::Rebalance::new(worker.clone(), options.band_percent);
        let tasks = [
            tokio::spawn(lead(core.clone(), ledger::Ledger::new(grace))),
            tokio::spawn(lead(core.clone(), outgrown::Outgrown::new(grace))),
            tokio::spawn(lead(core.clone(), repair::Repair::new(worker.clone()))),
            tokio::spawn(lead(core.clone(), drain::Drain::new(worker))),
            tokio::spawn(lead(core.clone(), rebalance)),
            tokio::spawn(lead(core.clone(), sweep::Sweep::new(metrics.clone(), items, options.reader_grace_seconds))),
            tokio::spawn(lead(core.clone(), collect::Collect::new(metrics.clone(), items))),
            tokio::spawn(lead(core.clone(), policies::Policies::new(Arc::clone(directory), items))),
            tokio::spawn(lead(core.clone(), evict::Evict::new(Arc::clone(directory), metrics.clone(), items))),
            tokio::spawn(lead(core.clone(), fences::Fences::new(Arc::clone(directory)))),
            tokio::spawn(lead(core.clone(), retention::Retention)),
            tokio::spawn(lead(core.clone(), jobs::Jobs::new(metrics.clone(), items))),
            tokio::spawn(lead(core.clone(), expire::Expire::new(present, metrics.clone()))),
            tokio::spawn(overview::observe(core.clone(), metrics.clone(), options.clone(), overviews)),
        ];
        Self { tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect(), overviews: seen }
    }

    /// What there is to do and how far it has come, as of some seconds ago at most.
    #[must_use]
    pub fn overview(&self) -> Arc<Overview> {
        Arc::clone(&self.overviews.borrow())
    }

    /// The same for those who want to look again and again.
    #[must_use]
    pub fn overviews(&self) -> watch::Receiver<Arc<Overview>> {
        self.overviews.clone()
    }

    /// Ends the work and waits until it has ended.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            // Cancelled, which is what was asked for.
            let _cancelled = task.await;
        }
    }
}
