//! Every shard that the catalog places on a disk is there, unless the catalog lists it as missing; what lies on a disk
//! beside that is counted.
//!
//! Looked at when the run is at rest, on each node, for its own disks, against its own catalog. Whoever destroys files
//! excuses them. A shard that nobody refers to is an orphan: the attempt that wrote it was interrupted before its command
//! was committed. Orphans cost space and nothing else; nothing removes them yet, so they are counted, and bounded by the
//! number of interruptions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use node::start::Node;
use raft::catalog::{StateError, View};
use raft::id::GroupId;
use raft::time::Timestamp;
use storage::kv::Engine;
use storage::shard::{Attempt, DiskId, ExtentIndex, ObjectId, ShardIndex, ShardName};

use super::Court;
use super::inspection::Ground;

const JUDGE: &str = "shards";
/// Rows of one page.
const PAGE_ROWS: usize = 256;
/// Names that one accusation spells out.
const NAMED: usize = 4;

/// Whether a shard of a node was destroyed on purpose.
pub type Excused = Arc<dyn Fn(usize, &ShardName) -> bool + Send + Sync>;

/// What a catalog knows to be missing, and what it is about to have removed.
#[derive(Debug, Default)]
struct Known {
    missing: BTreeSet<(ObjectId, ExtentIndex, ShardIndex)>,
    discarded: BTreeSet<(ObjectId, ExtentIndex, Attempt)>,
}

/// What was seen on one node.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    /// Last entry that its catalog had applied.
    applied: Option<u64>,
    missing: Vec<ShardName>,
    orphans: Vec<ShardName>,
}

/// The judge.
pub struct Shards {
    court: Court,
    ground: Ground,
    excused: Excused,
    looks: Mutex<BTreeMap<usize, Look>>,
}

impl fmt::Debug for Shards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shards").field("looks", &self.looks).finish_non_exhaustive()
    }
}

impl Shards {
    /// A judge that accuses before this court.
    #[must_use]
    pub fn new(court: Court, ground: Ground, excused: Excused) -> Self {
        Self { court, ground, excused, looks: Mutex::default() }
    }

    /// Compares the disks of a node with its catalog.
    pub fn inspect(&self, number: usize, node: &Node) {
        let status = node.group_statuses().into_iter().find(|status| matches!(status.group, GroupId::Catalog(_)));
        let Some(status) = status else { return };
        let Some(state) = node.group_state(status.group) else { return };
        let view = View::new(state);
        // A replica whose engine fails is about to stop, or will be asked again.
        let Ok(known) = known(&view) else { return };
        let mut look = Look { applied: status.applied_index, ..Look::default() };
        for disk in node.disks().all() {
            let Ok(placed) = placed(&view, node, disk.id()) else { return };
            let found = self.found(number, &disk.path().join("shards"));
            look.weigh(&placed, &found, &known, |name| (self.excused)(number, name));
        }
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(number, look);
    }

    fn found(&self, number: usize, shards: &Path) -> BTreeSet<ShardName> {
        let files = (self.ground.files_below)(number, shards);
        files.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
    }

    /// Accuses of what is missing, and of more than `orphans_max` orphans. Returns the number of orphans.
    pub fn conclude(&self, orphans_max: usize) -> usize {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever lags behind may speak of what the others have removed.
        let newest = looks.values().map(|look| look.applied).max().flatten();
        let (mut orphans, mut some) = (0, Vec::new());
        for (number, look) in looks.iter().filter(|(_, look)| look.applied == newest) {
            if !look.missing.is_empty() {
                let names = spelled(&look.missing);
                let text =
                    format!("node {number} lacks {} shards that nobody has noticed: {names}", look.missing.len());
                self.court.accuse(JUDGE, text);
            }
            orphans += look.orphans.len();
            some.extend(look.orphans.iter().take(1).copied());
        }
        if orphans > orphans_max {
            let names = spelled(&some);
            self.court
                .accuse(JUDGE, format!("{orphans} orphans are left, at most {orphans_max} are explained: {names}"));
        }
        orphans
    }
}

impl Look {
    fn weigh(
        &mut self,
        placed: &BTreeSet<ShardName>,
        found: &BTreeSet<ShardName>,
        known: &Known,
        excused: impl Fn(&ShardName) -> bool,
    ) {
        let noticed = |name: &ShardName| known.missing.contains(&(name.object, name.extent, name.shard));
        self.missing.extend(placed.difference(found).filter(|name| !noticed(name) && !excused(name)));
        let leaving = |name: &ShardName| known.discarded.contains(&(name.object, name.extent, name.attempt));
        self.orphans.extend(found.difference(placed).filter(|name| !leaving(name)));
    }
}

fn spelled(names: &[ShardName]) -> String {
    let names: Vec<String> = names.iter().take(NAMED).map(ToString::to_string).collect();
    names.join(", ")
}

fn known(view: &View<Arc<dyn Engine>>) -> Result<Known, StateError> {
    let mut known = Known::default();
    let mut after = None;
    loop {
        let page = view.shortfalls(after.as_ref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (key, record) in page {
            known.missing.extend(record.missing.into_iter().map(|shard| (key.object, key.extent, shard)));
        }
    }
    let mut after = None;
    loop {
        let page = view.discards(Timestamp(u64::MAX), after.as_ref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        known.discarded.extend(page.into_iter().map(|(key, _)| (key.object, key.extent, key.attempt)));
    }
    Ok(known)
}

fn placed(view: &View<Arc<dyn Engine>>, node: &Node, disk: DiskId) -> Result<BTreeSet<ShardName>, StateError> {
    let mut placed = BTreeSet::new();
    let mut after = None;
    loop {
        let page = view.placements(node.identity().node, disk, after.as_ref(), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(placed) };
        after = Some(*last);
        placed.extend(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(object: u8) -> ShardName {
        ShardName {
            object: ObjectId([object; 16]),
            extent: ExtentIndex(0),
            attempt: Attempt(object.into()),
            shard: ShardIndex(1),
        }
    }

    fn names(objects: &[u8]) -> BTreeSet<ShardName> {
        objects.iter().map(|object| name(*object)).collect()
    }

    fn judge() -> (Shards, Court) {
        let court = Court::default();
        let ground = Ground {
            nodes: 3,
            snapshot_after_entries: 100,
            groups: "/data/groups".into(),
            files_below: Arc::new(|_, _| Vec::new()),
            open_connections: Arc::new(|_| 0),
        };
        (Shards::new(court.clone(), ground, Arc::new(|_, _| false)), court)
    }

    #[test]
    fn missing_shards_and_orphans_are_told_from_what_is_known() {
        let mut known = Known::default();
        known.missing.insert((name(2).object, name(2).extent, name(2).shard));
        known.discarded.insert((name(8).object, name(8).extent, name(8).attempt));
        let mut look = Look::default();
        look.weigh(&names(&[1, 2, 3, 4]), &names(&[1, 8, 9]), &known, |excused| *excused == name(3));
        assert_eq!(look.missing, vec![name(4)]);
        assert_eq!(look.orphans, vec![name(9)]);
    }

    #[test]
    fn a_shard_that_nobody_noticed_is_accused() {
        let (judge, court) = judge();
        let look = Look { applied: Some(7), missing: vec![name(4)], orphans: Vec::new() };
        judge.looks.lock().unwrap().insert(2, look);
        assert_eq!(judge.conclude(0), 0);
        assert!(court.first().unwrap().text.contains("node 2 lacks 1 shards"));
    }

    #[test]
    fn more_orphans_than_are_explained_are_accused() {
        let (judge, court) = judge();
        let look = Look { applied: Some(7), missing: Vec::new(), orphans: vec![name(4), name(5)] };
        judge.looks.lock().unwrap().insert(2, look);
        assert_eq!(judge.conclude(2), 2);
        assert_eq!(court.first(), None);
        judge.conclude(1);
        assert!(court.first().unwrap().text.contains("2 orphans are left"));
    }

    #[test]
    fn a_replica_that_lags_behind_is_not_asked() {
        let (judge, court) = judge();
        let looks = [(1, 7, Vec::new()), (2, 6, vec![name(4)])];
        for (number, applied, missing) in looks {
            let look = Look { applied: Some(applied), missing, orphans: Vec::new() };
            judge.looks.lock().unwrap().insert(number, look);
        }
        judge.conclude(0);
        assert_eq!(court.first(), None);
    }
}
