//! Discarded shards are unlinked, once no reader can hold them, and then forgotten by the catalog.
//!
//! A discard never becomes undone and names the attempt of each shard, so unlinking what a stale leader believes discarded is
//! harmless. A set is forgotten when every holder has unlinked its shards; one that is away is asked when it is back.
//! The queue is looked at page by page to its end, so that sets that wait for a holder hold up no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, DiscardKey, DiscardRecord};
use raft::id::NodeId;
use storage::shard::{DiskId, ShardName};
use storage::switch;
use tracing::debug;

use super::Metrics;
use super::leader::{Duty, Left};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Rest between two looks at the queue when nothing is left to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Rest between two pages of the queue.
const PAGE_REST: Duration = Duration::from_millis(20);
/// Sets of one page.
const PAGE_SETS: usize = 512;
/// What is remembered to be unlinked already, of sets that wait for a holder. More is unlinked again and again, which
/// is harmless.
const UNLINKED_MAX: usize = 256 << 10;

/// Holders that have unlinked their shards of a set that is not forgotten yet.
type Unlinked = BTreeSet<(DiscardKey, NodeId)>;

/// What one round does at one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unlink {
    shards: Vec<(DiskId, ShardName)>,
    sets: BTreeSet<DiscardKey>,
}

/// What is to be unlinked where: all that is not yet unlinked at nodes that are live.
fn plan(
    discards: &[(DiscardKey, DiscardRecord)],
    unlinked: &Unlinked,
    is_live: impl Fn(NodeId) -> bool,
) -> BTreeMap<NodeId, Unlink> {
    let mut by_node: BTreeMap<NodeId, Unlink> = BTreeMap::new();
    for (key, record) in discards {
        for (shard, location) in &record.shards {
            if unlinked.contains(&(*key, location.node)) || !is_live(location.node) {
                continue;
            }
            let name = ShardName { object: key.object, extent: key.extent, attempt: location.attempt, shard: *shard };
            let unlink = by_node.entry(location.node).or_default();
            unlink.shards.push((location.disk, name));
            unlink.sets.insert(*key);
        }
    }
    by_node
}

/// The sets that every holder has unlinked. A node that is registered no more holds nothing.
fn finished(
    discards: &[(DiscardKey, DiscardRecord)],
    unlinked: &Unlinked,
    is_registered: impl Fn(NodeId) -> bool,
) -> Vec<DiscardKey> {
    let done = |key: &DiscardKey, node: NodeId| unlinked.contains(&(*key, node)) || !is_registered(node);
    let whole = discards.iter().filter(|(key, record)| record.shards.iter().all(|(_, shard)| done(key, shard.node)));
    whole.map(|(key, _)| *key).collect()
}

/// The work.
#[derive(Debug)]
pub(super) struct Sweep {
    metrics: Metrics,
    unlinked: Unlinked,
    cursor: Option<DiscardKey>,
}

impl Sweep {
    /// Work that has not begun.
    pub(super) const fn new(metrics: Metrics) -> Self {
        Self { metrics, unlinked: Unlinked::new(), cursor: None }
    }
}

impl Duty for Sweep {
    const NAME: &'static str = "sweep";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = PAGE_REST;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        // A page that cannot be worked off is not gone back to: the next round begins at the first one.
        let cursor = self.cursor.take();
        self.cursor = round(core, &self.metrics, &mut self.unlinked, cursor.as_ref()).await?;
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

/// Works off one page. Returns where to go on; `None` at the end of the queue.
async fn round(
    core: &Arc<Core>,
    metrics: &Metrics,
    unlinked: &mut Unlinked,
    after: Option<&DiscardKey>,
) -> Result<Option<DiscardKey>, CatalogError> {
    let view = core.records.view();
    let discards = view.discards(view.clock()?, after, PAGE_SETS)?;
    for (node, unlink) in plan(&discards, unlinked, |node| core.roster.is_live(node)) {
        let shards = unlink.shards.len() as u64;
        match core.store.delete(node, unlink.shards).await {
            Ok(()) => {
                metrics.swept_shards.inc_by(shards);
                unlinked.extend(unlink.sets.into_iter().map(|set| (set, node)));
            }
            Err(error) => debug!(%node, %error, "discarded shards stay for now"),
        }
    }
    let finished = finished(&discards, unlinked, |node| core.roster.is_registered(node));
    if !finished.is_empty() {
        core.propose(Command::Swept { discards: finished.clone() }).await?;
        let finished: BTreeSet<DiscardKey> = finished.into_iter().collect();
        unlinked.retain(|(key, _)| !finished.contains(key));
    }
    while unlinked.len() > UNLINKED_MAX {
        unlinked.pop_last();
    }
    Ok(discards.last().map(|(key, _)| *key).filter(|_| discards.len() == PAGE_SETS))
}

#[cfg(test)]
mod tests {
    use raft::catalog::DiskLocation;
    use raft::time::Timestamp;
    use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

    use super::*;

    fn discard(number: u8, nodes: &[u64]) -> (DiscardKey, DiscardRecord) {
        let key = DiscardKey {
            not_before: Timestamp(u64::from(number)),
            object: ObjectId([number; 16]),
            extent: ExtentIndex(0),
            attempt: Attempt(1),
        };
        let location = |node: &u64| DiskLocation { node: NodeId(*node), disk: DiskId([1; 16]) }.shard(Attempt(7));
        let shards = nodes.iter().map(location);
        (key, DiscardRecord { shards: (0..).map(ShardIndex).zip(shards).collect() })
    }

    #[test]
    fn a_set_is_forgotten_when_every_holder_has_unlinked_it() {
        let discards = [discard(1, &[1, 2, 3]), discard(2, &[1, 2, 2])];
        let live = |node: NodeId| node != NodeId(3);
        let mut unlinked = Unlinked::new();
        let planned = plan(&discards, &unlinked, live);
        assert_eq!(planned.keys().copied().collect::<Vec<_>>(), [NodeId(1), NodeId(2)]);
        assert_eq!(planned[&NodeId(2)].shards.len(), 3);
        assert!(
            planned[&NodeId(2)].shards.iter().all(|(_, name)| name.attempt == Attempt(7)),
            "each has its own attempt"
        );
        for (node, unlink) in planned {
            unlinked.extend(unlink.sets.into_iter().map(|set| (set, node)));
        }
        assert_eq!(finished(&discards, &unlinked, |_| true), [discards[1].0]);
        assert!(plan(&discards, &unlinked, live).is_empty());
        assert_eq!(plan(&discards, &unlinked, |_| true).keys().copied().collect::<Vec<_>>(), [NodeId(3)]);
        assert_eq!(finished(&discards, &unlinked, |node| node != NodeId(3)).len(), 2);
    }
}
