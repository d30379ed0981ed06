//! The scrub: each node reads its own disks again and again, so that damage is found while it can be healed.
//!
//! Two tasks for each disk: the `pass` reads every block within a period, the `inventory` compares names. Both only find
//! and report; healing is the work of the catalog's leader (`background`). What is to be done is decided by pure
//! functions (`work::next`, `pace`, `compare`).

mod compare;
mod context;
mod inventory;
mod metrics;
mod notes;
mod options;
mod pace;
mod pass;
mod report;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use storage::disk::Disk;
use storage::exec::Exec;
use storage::shard::DiskId;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use self::context::Context;
use self::notes::Notes;
use self::work::Work;
use crate::environment::Entropy;
use crate::gateway::catalog::Records;
use crate::shards::LocalShards;

pub use metrics::Metrics;
pub use options::Options;
pub use report::{DiskScrub, Findings, FinishedPass, InventoryReport, ScrubState};

/// Time between two looks for disks that came or went.
const DISKS_INTERVAL: Duration = Duration::from_secs(1);

/// What a scrub is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The own shards.
    pub(crate) local: LocalShards,
    /// The region's catalog.
    pub(crate) records: Arc<dyn Records>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Blocking work.
    pub(crate) exec: Exec,
    /// Period and grace.
    pub(crate) options: Options,
    /// Counters.
    pub(crate) metrics: Metrics,
}

/// Why a pass was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrubError {
    /// There is no such disk to be read.
    #[error("this node has no disk {id} that can be read: regnode disk list shows those that it has")]
    Unknown {
        /// The id.
        id: DiskId,
    },
}

/// The scrub of one node. Cheap to clone; it ends with [`stop`](Self::stop), or with the last clone.
#[derive(Clone, Debug)]
pub struct Scrub {
    shared: Arc<Shared>,
    task: Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
}

#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    works: Mutex<BTreeMap<DiskId, Arc<Work>>>,
}

impl Shared {
    fn works(&self) -> MutexGuard<'_, BTreeMap<DiskId, Arc<Work>>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scrub {
    /// Begins to scrub the disks of this node, those that come later too.
    #[must_use]
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { local, records, entropy, exec, options, metrics } = parts;
        let context = Arc::new(Context { local, records, entropy, exec, options, metrics });
        let shared = Arc::new(Shared { context, works: Mutex::default() });
        let task = AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&shared))));
        Self { shared, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Begins a pass over these disks of this node from the beginning, over all of them if none is named. It takes half
    /// of a disk's time. Returns how many disks; one that is read on command already goes on as it does.
    ///
    /// # Errors
    /// [`ScrubError`] for the first disk that there is not; nothing is begun then.
    pub fn start(&self, disks: &[DiskId]) -> Result<usize, ScrubError> {
        let works = self.shared.works();
        let chosen: Vec<&Arc<Work>> = if disks.is_empty() {
            works.values().collect()
        } else {
            let find = |id: &DiskId| works.get(id).ok_or(ScrubError::Unknown { id: *id });
            disks.iter().map(find).collect::<Result<_, _>>()?
        };
        for work in &chosen {
            work.ask();
        }
        Ok(chosen.len())
    }

    /// How far each disk is.
    #[must_use]
    pub fn status(&self) -> Vec<DiskScrub> {
        let works: Vec<Arc<Work>> = self.shared.works().values().cloned().collect();
        works.iter().filter_map(|work| status(&self.shared.context, work)).collect()
    }

    /// Ends it, and waits until it has ended.
    pub async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let task: JoinHandle<()> = task.detach();
            task.abort();
            // Cancelled, which is what was asked for.
            let _cancelled = task.await;
        }
    }
}

fn status(context: &Context, work: &Work) -> Option<DiskScrub> {
    let disk = context.local.disks().get(work.disk)?;
    // Without the catalog it is not known how much there is, and that shows as nothing.
    let total = context.records.view().disk_totals(context.location(work.disk)).unwrap_or_default();
    let notes = work.notes().clone();
    let (pass, speed) = (notes.pass.unwrap_or_default(), work.bytes_per_second());
    let left = total.bytes.saturating_sub(pass.bytes);
    Some(DiskScrub {
        disk: work.disk.to_string(),
        path: disk.path().to_owned(),
        state: work.state(),
        started_milliseconds: notes.pass.map(|pass| pass.started.0),
        shards_done: pass.shards,
        bytes_done: pass.bytes,
        bytes_total: total.bytes,
        bytes_per_second: speed,
        eta_seconds: (notes.pass.is_some() && speed > 0).then(|| left / speed.max(1)),
        found: pass.found,
        last: notes.last,
        inventory: work.inventory(),
    })
}

/// Keeps a task running for each disk.
async fn keep(shared: Arc<Shared>) {
    let mut running: BTreeMap<DiskId, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        let disks = shared.context.local.disks().all();
        let gone: Vec<DiskId> =
            running.keys().filter(|id| disks.iter().all(|disk| disk.id() != **id)).copied().collect();
        for id in gone {
            running.remove(&id);
            shared.works().remove(&id);
            shared.context.metrics.forget(&id.to_string());
        }
        for disk in disks {
            let id = disk.id();
            let task = || AbortOnDropHandle::new(tokio::spawn(scrub(Arc::clone(&shared), disk)));
            running.entry(id).or_insert_with(task);
        }
        sleep(DISKS_INTERVAL).await;
    }
}

/// Scrubs one disk for ever. One that hangs holds up no other.
async fn scrub(shared: Arc<Shared>, disk: Arc<Disk>) {
    let id = disk.id();
    let notes = shared.context.exec.run(move || Notes::load(&disk)).await;
    let work = Arc::new(Work::new(id, notes));
    shared.works().insert(id, Arc::clone(&work));
    let context = &shared.context;
    tokio::join!(pass::keep(context, &work), inventory::keep(context, &work));
}
