//! The part of the model that knows shards: which files extents refer to, and which of them are missing.

use std::collections::BTreeSet;

use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex, ShardName};

use super::store::*;
use crate::catalog::*;

/// Shard files that a layout refers to, with their disks.
fn files(store: &Store, object: ObjectId, extent: u32) -> BTreeSet<(DiskLocation, ShardName)> {
    let layout = store.layout(object, extent);
    layout.iter().flat_map(|coded| coded.names(object, ExtentIndex(extent)).collect::<Vec<_>>()).collect()
}

/// Shard files that are to be unlinked, with their disks.
fn discarded(store: &Store) -> BTreeSet<(DiskLocation, ShardName)> {
    let discards = store.view().discards(crate::time::Timestamp(u64::MAX), None, usize::MAX).unwrap();
    let names = discards.into_iter().flat_map(|(key, record)| {
        let name = move |shard, attempt| ShardName { object: key.object, extent: key.extent, attempt, shard };
        record.shards.into_iter().map(move |(shard, location)| (location.on(), name(shard, location.attempt)))
    });
    names.collect()
}

fn missing(store: &Store, object: ObjectId, extent: u32) -> Vec<MissingShard> {
    let shortfall = store.view().shortfall(object, ExtentIndex(extent)).unwrap();
    shortfall.map_or_else(Vec::new, |record| record.missing)
}

pub(super) fn replace(store: &mut Store, number: u8, extent: u32, current: bool) {
    let Some(before) = store.layout(object(number), extent) else { return };
    let expected = if current { before.attempt } else { Attempt(u64::MAX) };
    let body = store.coded();
    let (object, index) = (object(number), ExtentIndex(extent));
    let command = Command::ReplaceExtent { object, extent: index, expected, body, shortfall: None };
    assert_eq!(store.apply(command), if current { Response::Done } else { Response::Stale });
    if current {
        assert!(store.view().shortfall(object, index).unwrap().is_none());
        assert!(discarded(store).is_superset(&before.names(object, index).collect()));
    }
}

pub(super) fn report_one(store: &mut Store, number: u8, extent: u32, shards: &[u8]) {
    let Some(layout) = store.layout(object(number), extent) else { return };
    let shards: BTreeSet<ShardIndex> = shards.iter().copied().map(ShardIndex).collect();
    let (object, extent, weak) = (object(number), ExtentIndex(extent), shards.is_empty());
    let reason = if weak { ShortfallReason::Outgrown } else { ShortfallReason::ReadMissing };
    let shortfall = Shortfall { missing: shards.iter().copied().collect(), reason };
    let command = Command::ReportShortfall { object, extent, attempt: layout.attempt, shortfall };
    assert_eq!(store.apply(command), Response::Done);
    let listed = store.view().shortfall(object, extent).unwrap().unwrap();
    assert!(shards.iter().all(|shard| listed.is_missing(*shard)));
    assert!(!weak || listed.weak.is_some());
}

/// Moves shards two nodes on, where no other shard of the extent can be.
pub(super) fn relocate(store: &mut Store, number: u8, extent: u32, mut shards: Vec<u8>, current: bool) {
    shards.sort_unstable();
    shards.dedup();
    let object = object(number);
    let Some(before) = store.layout(object, extent) else { return };
    let expected = if current { before.attempt } else { Attempt(u64::MAX) };
    let away = |shard: &u8| {
        let node = before.shards[usize::from(*shard)].node.0;
        (*shard, u8::try_from(if node > 3 { node - 3 } else { node + 3 }).unwrap())
    };
    let moves: Vec<(u8, u8)> = shards.iter().map(away).collect();
    let (held, lacked) = (files(store, object, extent), missing(store, object, extent));
    let response = store.move_shards(object, extent, expected, &moves);
    if !current {
        assert_eq!(response, Response::Stale);
    } else if moves.is_empty() {
        assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
    } else {
        assert_eq!(response, Response::Done);
        let now = files(store, object, extent);
        let moved = |name: &ShardName| shards.contains(&name.shard.0);
        let left: BTreeSet<_> = held.iter().filter(|(_, name)| moved(name)).copied().collect();
        assert_eq!(held.intersection(&now).count(), held.len() - left.len(), "what was not moved stays where it is");
        assert!(discarded(store).is_superset(&left));
        assert!(discarded(store).is_disjoint(&now));
        let rest: Vec<_> = lacked.into_iter().filter(|missing| !shards.contains(&missing.shard.0)).collect();
        assert_eq!(missing(store, object, extent), rest);
        return;
    }
    assert_eq!(files(store, object, extent), held);
}

pub(super) fn accept(store: &mut Store, number: u8, extent: u32) {
    let (object, index) = (object(number), ExtentIndex(extent));
    let Some(layout) = store.layout(object, extent) else { return };
    let lacked = missing(store, object, extent);
    let command = Command::AcceptProfile { object, extent: index, expected: layout.attempt };
    assert_eq!(store.apply(command), Response::Done);
    let listed = store.view().shortfall(object, index).unwrap();
    assert_eq!(listed.is_some(), !lacked.is_empty());
    assert!(listed.is_none_or(|listed| listed.weak.is_none() && listed.missing == lacked));
}

/// Walks through all shards of a node, in pages, with what `command` makes of a page.
fn walk(store: &mut Store, page: u32, command: impl Fn(Option<PlacementKey>) -> Command) -> (u64, u32) {
    let (mut after, mut changed, mut pages) = (None, 0, 0);
    loop {
        let Response::Page { count, next } = store.apply(command(after)) else { panic!() };
        assert!(count <= u64::from(page));
        (changed, pages) = (changed + count, pages + 1);
        after = next;
        if after.is_none() {
            return (changed, pages);
        }
    }
}

/// Shards of a node, and those of them that are missing because it is away.
fn of_node(store: &Store, node: u8) -> (Vec<PlacementKey>, usize) {
    let rows = store.view().placements_of(location(node).node, None, usize::MAX).unwrap();
    let shards: Vec<PlacementKey> = rows.into_iter().map(|(key, _)| key).collect();
    let away = |key: &&PlacementKey| {
        let away = MissingShard { shard: key.shard, cause: ShortfallReason::NodeAway };
        missing(store, key.object, key.extent.0).contains(&away)
    };
    let away = shards.iter().filter(away).count();
    (shards, away)
}

pub(super) fn report(store: &mut Store, number: u8, page: u32) {
    let (node, reason) = (location(number).node, ShortfallReason::NodeAway);
    walk(store, page, |after| Command::ReportLocation { node, disk: None, after, limit: page, reason });
    let (shards, _) = of_node(store, number);
    for key in shards {
        let lacked = missing(store, key.object, key.extent.0);
        assert!(lacked.iter().any(|missing| missing.shard == key.shard));
    }
    let again = walk(store, 256, |after| Command::ReportLocation { node, disk: None, after, limit: 256, reason });
    assert_eq!(again, (0, 1), "what was said already changes nothing");
}

pub(super) fn forgive(store: &mut Store, number: u8, page: u32) {
    let (node, disk) = (location(number).node, Some(location(number).disk));
    let (shards, away) = of_node(store, number);
    let reason = ShortfallReason::NodeAway;
    let (changed, pages) =
        walk(store, page, |after| Command::ForgiveLocation { node, disk, after, limit: page, reason });
    assert_eq!(usize::try_from(changed).unwrap(), away);
    assert!(usize::try_from(pages).unwrap() <= shards.len() / usize::try_from(page).unwrap() + 1);
    assert_eq!(of_node(store, number), (shards, 0));
}
