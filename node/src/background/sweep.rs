//! Discarded shards are unlinked, once no reader can hold them, and then forgotten by the catalog.
//!
//! A discard never becomes undone and names the attempt of each shard, so unlinking what a stale leader believes discarded is
//! harmless. A set is forgotten when every disk has unlinked its shards; one that is away is asked when it is back, a node
//! that was removed from the cluster and a disk that was removed from its node never. The queue is looked at page by page
//! to its end, so that sets that wait for a disk hold up no others. Shards are unlinked within a budget per second and no
//! more than half of the time while clients are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raft::catalog::{Command, DISCARD_GRACE_SECONDS, DiscardKey, DiscardRecord, DiskLocation};
use raft::id::NodeId;
use storage::shard::ShardName;
use storage::switch;
use tracing::debug;

use super::Metrics;
use super::leader::{Duty, Left};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::write::Pace;

/// Rest between two looks at the queue when nothing is left to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Rest between two pages of the queue.
const PAGE_REST: Duration = Duration::from_millis(20);
/// Sets of one page.
const PAGE_SETS: usize = 256;
/// What is remembered to be unlinked already, of sets that wait for a disk. More is unlinked again and again, which is
/// harmless.
const UNLINKED_MAX: usize = 256 << 10;

/// Disks that have unlinked their shards of a set that is not forgotten yet.
type Unlinked = BTreeSet<(DiscardKey, DiskLocation)>;

/// What one round does on one disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unlink {
    shards: Vec<ShardName>,
    sets: BTreeSet<DiscardKey>,
}

/// What is to be unlinked where: all that is not yet unlinked on disks of nodes that are live.
fn plan(
    discards: &[(DiscardKey, DiscardRecord)],
    unlinked: &Unlinked,
    is_live: impl Fn(NodeId) -> bool,
) -> BTreeMap<DiskLocation, Unlink> {
    let mut by_disk: BTreeMap<DiskLocation, Unlink> = BTreeMap::new();
    for (key, record) in discards {
        for (shard, location) in &record.shards {
            let disk = location.on();
            if unlinked.contains(&(*key, disk)) || !is_live(disk.node) {
                continue;
            }
            let name = ShardName { object: key.object, extent: key.extent, attempt: location.attempt, shard: *shard };
            let unlink = by_disk.entry(disk).or_default();
            unlink.shards.push(name);
            unlink.sets.insert(*key);
        }
    }
    by_disk
}

/// The sets that every disk has unlinked. A node that is registered no more holds nothing.
fn finished(
    discards: &[(DiscardKey, DiscardRecord)],
    unlinked: &Unlinked,
    is_registered: impl Fn(NodeId) -> bool,
) -> Vec<DiscardKey> {
    let done = |key: &DiscardKey, disk: DiskLocation| unlinked.contains(&(*key, disk)) || !is_registered(disk.node);
    let whole = discards.iter().filter(|(key, record)| record.shards.iter().all(|(_, shard)| done(key, shard.on())));
    whole.map(|(key, _)| *key).collect()
}

/// The work.
#[derive(Debug)]
pub(super) struct Sweep {
    metrics: Metrics,
    pace: Arc<Pace>,
    /// So much sooner than the catalog says shards may be unlinked.
    early_seconds: u64,
    unlinked: Unlinked,
    cursor: Option<DiscardKey>,
}

impl Sweep {
    /// Work within a budget of shards per second; zero is without limit. Readers have so many seconds to end.
    pub(super) fn new(metrics: Metrics, shards_per_second: u64, reader_grace_seconds: u64) -> Self {
        let early_seconds = DISCARD_GRACE_SECONDS.saturating_sub(reader_grace_seconds);
        let (pace, unlinked) = (Pace::new(shards_per_second), Unlinked::new());
        Self { metrics, pace, early_seconds, unlinked, cursor: None }
    }

    /// Works off one page. Returns where to go on; `None` at the end of the queue.
    async fn page(&mut self, core: &Arc<Core>, after: Option<&DiscardKey>) -> Result<Option<DiscardKey>, CatalogError> {
        let view = core.records.view();
        let discards = view.discards(view.clock()?.plus_seconds(self.early_seconds), after, PAGE_SETS)?;
        let mut stint = self.pace.stint();
        // A disk that does not answer holds up no other one.
        let unlinks = plan(&discards, &self.unlinked, |node| core.roster.is_live(node));
        let mut swept = 0;
        for (disk, unlink) in join_all(unlinks.into_iter().map(|(disk, unlink)| unlink_on(core, disk, unlink))).await {
            let Some(unlink) = unlink else { continue };
            swept += unlink.shards.len() as u64;
            self.unlinked.extend(unlink.sets.into_iter().map(|set| (set, disk)));
        }
        self.metrics.swept_shards.inc_by(swept);
        let finished = finished(&discards, &self.unlinked, |node| core.roster.is_registered(node));
        if !finished.is_empty() {
            core.propose(Command::Swept { discards: finished.clone() }).await?;
            let finished: BTreeSet<DiscardKey> = finished.into_iter().collect();
            self.unlinked.retain(|(key, _)| !finished.contains(key));
        }
        while self.unlinked.len() > UNLINKED_MAX {
            self.unlinked.pop_last();
        }
        stint.done(core, swept).await;
        Ok(discards.last().map(|(key, _)| *key).filter(|_| discards.len() == PAGE_SETS))
    }
}

/// Unlinks shards on one disk. `None` if they stay for now.
async fn unlink_on(core: &Core, disk: DiskLocation, unlink: Unlink) -> (DiskLocation, Option<Unlink>) {
    let shards = unlink.shards.iter().map(|name| (disk.disk, *name)).collect();
    match core.store.delete(disk.node, shards).await {
        Ok(()) => (disk, Some(unlink)),
        Err(error) => {
            debug!(node = %disk.node, %error, "discarded shards stay for now");
            (disk, None)
        }
    }
}

impl Duty for Sweep {
    const NAME: &'static str = "sweep";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = PAGE_REST;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        // A page that cannot be worked off is not gone back to: the next round begins at the first one.
        let cursor = self.cursor.take();
        self.cursor = self.page(core, cursor.as_ref()).await?;
        Ok(if self.cursor.is_some() { Left::More } else { Left::Nothing })
    }

    fn retire(&mut self) {
        self.unlinked.clear();
        self.cursor = None;
    }

    fn hurried(&self) -> bool {
        switch::rare("background.sweep.hurry")
    }
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;
    use storage::shard::{Attempt, DiskId, ExtentIndex, ObjectId, ShardIndex};

    use super::*;

    fn disk(node: u64, disk: u8) -> DiskLocation {
        DiskLocation { node: NodeId(node), disk: DiskId([disk; 16]) }
    }

    fn discard(number: u8, nodes: &[u64]) -> (DiscardKey, DiscardRecord) {
        let key = DiscardKey {
            not_before: Timestamp(u64::from(number)),
            object: ObjectId([number; 16]),
            extent: ExtentIndex(0),
            attempt: Attempt(1),
        };
        let shards = nodes.iter().map(|node| disk(*node, 1).shard(Attempt(7)));
        (key, DiscardRecord { shards: (0..).map(ShardIndex).zip(shards).collect(), bytes: 0 })
    }

    #[test]
    fn a_set_is_forgotten_when_every_disk_has_unlinked_it() {
        let discards = [discard(1, &[1, 2, 3]), discard(2, &[1, 2, 2])];
        let live = |node: NodeId| node != NodeId(3);
        let mut unlinked = Unlinked::new();
        let planned = plan(&discards, &unlinked, live);
        assert_eq!(planned.keys().copied().collect::<Vec<_>>(), [disk(1, 1), disk(2, 1)]);
        assert_eq!(planned[&disk(2, 1)].shards.len(), 3);
        assert!(planned[&disk(2, 1)].shards.iter().all(|name| name.attempt == Attempt(7)), "each has its own attempt");
        for (disk, unlink) in planned {
            unlinked.extend(unlink.sets.into_iter().map(|set| (set, disk)));
        }
        assert_eq!(finished(&discards, &unlinked, |_| true), [discards[1].0]);
        assert!(plan(&discards, &unlinked, live).is_empty());
        assert_eq!(plan(&discards, &unlinked, |_| true).keys().copied().collect::<Vec<_>>(), [disk(3, 1)]);
        assert_eq!(finished(&discards, &unlinked, |node| node != NodeId(3)).len(), 2);
    }

    #[test]
    fn a_disk_that_does_not_answer_holds_up_no_other_one_of_its_node() {
        let (key, mut record) = discard(1, &[1]);
        record.shards.push((ShardIndex(1), disk(1, 2).shard(Attempt(7))));
        let discards = [(key, record)];
        let planned = plan(&discards, &Unlinked::new(), |_| true);
        assert_eq!(planned.keys().copied().collect::<Vec<_>>(), [disk(1, 1), disk(1, 2)]);
        let unlinked = Unlinked::from([(key, disk(1, 1))]);
        assert_eq!(plan(&discards, &unlinked, |_| true).keys().copied().collect::<Vec<_>>(), [disk(1, 2)]);
        assert!(finished(&discards, &unlinked, |_| true).is_empty());
    }
}
