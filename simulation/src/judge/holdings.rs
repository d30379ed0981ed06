//! What a node holds at rest, beside what its catalog says that it should hold. Taken once from each node, when all have
//! applied the same, and weighed by the judges of [`shards`](super::shards), [`redundancy`](super::redundancy) and
//! [`mending`](super::mending). Nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node::start::Node;
use raft::catalog::{CodedExtent, DiskLocation, ExtentBody, ObjectState, ShardLocation, StateError, View};
use raft::id::{GroupId, RegionId};
use raft::time::Timestamp;
use storage::kv::Engine;
use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardIndex, ShardName};

use super::emptiness;
use super::inspection::Ground;
use crate::disk::Condition;

/// Rows of one page.
const PAGE_ROWS: usize = 256;
/// Names that one accusation spells out.
const NAMED: usize = 4;

/// An extent of an object.
pub type ExtentKey = (ObjectId, ExtentIndex);
type CatalogView = View<Arc<dyn Engine>>;

/// What a node holds, and should.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// The region whose catalog it has.
    pub region: Option<RegionId>,
    /// Last entry that its catalog had applied.
    pub applied: Option<u64>,
    /// Its disks.
    pub places: BTreeSet<DiskLocation>,
    /// The shards that the catalog places on its disks, and how their files are.
    pub placed: BTreeMap<ShardName, Condition>,
    /// Shard files that the catalog neither places nor is about to have removed.
    pub orphans: BTreeSet<ShardName>,
    /// Those of them that nobody will ever ask for, so that a scrub removes them once their grace is over.
    pub strays: BTreeSet<ShardName>,
    /// Keys of its catalog that tell of content, counted by kind.
    pub left: BTreeMap<u8, u64>,
    /// The extents that have a shard on it.
    pub extents: BTreeMap<ExtentKey, CodedExtent>,
    /// The whole list of extents below their redundancy, with the shards that are missing.
    pub shortfalls: BTreeMap<ExtentKey, BTreeSet<ShardIndex>>,
}

impl Holdings {
    /// Compares the disks of a node with its catalog.
    ///
    /// # Errors
    /// When the catalog's engine fails.
    pub fn take(ground: &Ground, number: usize, node: &Node) -> Result<Self, StateError> {
        let statuses = node.group_statuses();
        let status = statuses.iter().find(|status| matches!(status.group, GroupId::Catalog(_)));
        let catalog = status.and_then(|status| Some((status.applied_index, node.group_state(status.group)?)));
        let Some((applied, state)) = catalog else { return Ok(Self::default()) };
        let region = Some(node.identity().region);
        let left = emptiness::left(&*state)?;
        let view = View::new(state);
        let own = node.identity().node;
        let mut holdings = Self { region, applied, left, shortfalls: shortfalls(&view)?, ..Self::default() };
        let leaving = leaving(&view)?;
        for disk in node.disks().all() {
            let location = DiskLocation { node: own, disk: disk.id() };
            let found = (ground.shards_below)(number, &disk.path().join("shards"));
            holdings.add(location, &placed(&view, location)?, &found, &leaving);
        }
        holdings.extents = extents(&view, holdings.placed.keys())?;
        for name in &holdings.orphans {
            if is_stray(&view, name)? {
                holdings.strays.insert(*name);
            }
        }
        Ok(holdings)
    }

    /// Adds a disk.
    fn add(
        &mut self,
        location: DiskLocation,
        placed: &BTreeSet<ShardName>,
        found: &BTreeMap<ShardName, Condition>,
        leaving: &BTreeSet<ShardName>,
    ) {
        self.places.insert(location);
        self.placed.extend(placed.iter().map(|name| (*name, found.get(name).copied().unwrap_or_default())));
        let unplaced = found.iter().filter(|(name, condition)| condition.exists && !placed.contains(name));
        let orphans = unplaced.filter(|(name, _)| !leaving.contains(name));
        self.orphans.extend(orphans.map(|(name, _)| *name));
    }

    /// Whether the catalog places a shard of an object on this node.
    #[must_use]
    pub fn places_object(&self, object: ObjectId) -> bool {
        self.placed.keys().any(|name| name.object == object)
    }

    /// Whether the catalog knows that a shard is missing or damaged.
    #[must_use]
    pub fn knows_missing(&self, name: &ShardName) -> bool {
        let missing = self.shortfalls.get(&(name.object, name.extent));
        missing.is_some_and(|missing| missing.contains(&name.shard))
    }
}

/// Whether nobody will ever ask for a file that the catalog does not place where it is. What an upload writes is committed
/// at the end of a request; what has the name of a shard that is placed elsewhere, or belongs to an extent that is not
/// whole, may be the last that is left of it.
fn is_stray(view: &CatalogView, name: &ShardName) -> Result<bool, StateError> {
    let Some(object) = view.object(name.object)? else { return Ok(true) };
    if object.state == ObjectState::Uploading {
        return Ok(false);
    }
    let Some(ExtentBody::Coded(coded)) = view.extent(name.object, name.extent)?.map(|record| record.body) else {
        return Ok(true);
    };
    let is_named = coded.location(name.shard).is_some_and(|location| location.attempt == name.attempt);
    let is_whole = view.shortfall(name.object, name.extent)?.is_none_or(|listed| listed.missing.is_empty());
    Ok(!is_named && is_whole)
}

/// Some of these shards, for an accusation.
pub(super) fn spelled<'a>(names: impl IntoIterator<Item = &'a ShardName>) -> String {
    let names: Vec<String> = names.into_iter().take(NAMED).map(ToString::to_string).collect();
    names.join(", ")
}

fn shortfalls(view: &CatalogView) -> Result<BTreeMap<ExtentKey, BTreeSet<ShardIndex>>, StateError> {
    let mut listed = BTreeMap::new();
    let mut after = None;
    loop {
        let page = view.shortfalls(after.as_ref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(listed) };
        after = Some(*last);
        listed.extend(page.into_iter().map(|(key, record)| {
            ((key.object, key.extent), record.missing.iter().map(|missing| missing.shard).collect())
        }));
    }
}

/// What is about to be removed.
fn leaving(view: &CatalogView) -> Result<BTreeSet<ShardName>, StateError> {
    let mut leaving = BTreeSet::new();
    let mut after = None;
    loop {
        let page = view.discards(Timestamp(u64::MAX), after.as_ref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(leaving) };
        after = Some(*last);
        for (key, record) in page {
            let name = |(shard, location): (ShardIndex, ShardLocation)| ShardName {
                object: key.object,
                extent: key.extent,
                attempt: location.attempt,
                shard,
            };
            leaving.extend(record.shards.into_iter().map(name));
        }
    }
}

fn placed(view: &CatalogView, location: DiskLocation) -> Result<BTreeSet<ShardName>, StateError> {
    let DiskLocation { node, disk }: DiskLocation = location;
    let disk: DiskId = disk;
    let mut placed = BTreeSet::new();
    let mut after = None;
    loop {
        let page = view.placements(node, disk, after.as_ref(), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(placed) };
        after = Some(*last);
        placed.extend(page);
    }
}

/// The extents that these shards are of.
fn extents<'a>(
    view: &CatalogView,
    names: impl Iterator<Item = &'a ShardName>,
) -> Result<BTreeMap<ExtentKey, CodedExtent>, StateError> {
    let mut extents = BTreeMap::new();
    for name in names {
        let key = (name.object, name.extent);
        if !extents.contains_key(&key)
            && let Some(ExtentBody::Coded(coded)) = view.extent(name.object, name.extent)?.map(|record| record.body)
        {
            extents.insert(key, coded);
        }
    }
    Ok(extents)
}

#[cfg(test)]
pub(super) mod testing {
    use storage::shard::Attempt;

    use super::*;

    /// A shard of the first extent of an object.
    pub(in crate::judge) fn shard(object: u8, index: u8) -> ShardName {
        ShardName {
            object: ObjectId([object; 16]),
            extent: ExtentIndex(0),
            attempt: Attempt(object.into()),
            shard: ShardIndex(index),
        }
    }

    /// A shard file that is as it should be.
    pub(in crate::judge) const GOOD: Condition =
        Condition { exists: true, durable: true, damaged: false, damage_read_at: None };
}

#[cfg(test)]
mod tests {
    use raft::id::NodeId;

    use super::testing::{GOOD, shard};
    use super::*;

    #[test]
    fn what_is_placed_is_told_from_orphans_and_from_what_leaves() {
        let location = DiskLocation { node: NodeId(7), disk: DiskId([1; 16]) };
        let lost = Condition { exists: false, ..GOOD };
        let found =
            BTreeMap::from([(shard(1, 0), GOOD), (shard(8, 0), GOOD), (shard(9, 0), GOOD), (shard(10, 0), lost)]);
        let leaving = BTreeSet::from([shard(8, 0)]);
        let mut holdings = Holdings::default();
        holdings.add(location, &BTreeSet::from([shard(1, 0), shard(2, 0)]), &found, &leaving);
        assert_eq!(holdings.placed, BTreeMap::from([(shard(1, 0), GOOD), (shard(2, 0), Condition::default())]));
        assert_eq!(holdings.orphans, BTreeSet::from([shard(9, 0)]));
        assert_eq!(holdings.places, BTreeSet::from([location]));
    }

    #[test]
    fn a_shard_is_known_to_be_missing_by_its_extent_and_index() {
        let key = (shard(1, 0).object, shard(1, 0).extent);
        let shortfalls = BTreeMap::from([(key, BTreeSet::from([ShardIndex(1)]))]);
        let holdings = Holdings { shortfalls, ..Holdings::default() };
        assert!(holdings.knows_missing(&shard(1, 1)));
        assert!(!holdings.knows_missing(&shard(1, 0)) && !holdings.knows_missing(&shard(2, 1)));
    }
}
