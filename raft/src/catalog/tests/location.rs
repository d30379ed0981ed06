//! What is said of whole nodes and disks.

use storage::shard::{ExtentIndex, ShardIndex};

use super::store::*;
use crate::catalog::*;

const AWAY: ShortfallReason = ShortfallReason::NodeAway;

fn store() -> Store {
    let mut store = Store::new();
    for number in 1..=3 {
        store.push(number, "app", number);
    }
    store
}

fn report(node: u8, after: Option<PlacementKey>, limit: u32, reason: ShortfallReason) -> Command {
    Command::ReportLocation { node: location(node).node, disk: None, after, limit, reason }
}

fn forgive(node: u8, reason: ShortfallReason) -> Command {
    Command::ForgiveLocation { node: location(node).node, disk: None, after: None, limit: 100, reason }
}

#[test]
fn all_shards_of_a_node_are_reported_page_by_page() {
    let mut store = store();
    let Response::Page { count: 2, next: Some(next) } = store.apply(report(2, None, 2, AWAY)) else { panic!() };
    assert_eq!((next.object, next.shard), (object(2), ShardIndex(1)));
    assert_eq!(store.view().totals().unwrap().shortfalls, 2);
    assert_eq!(store.apply(report(2, Some(next), 2, AWAY)), Response::Page { count: 1, next: None });
    assert_eq!(store.view().totals().unwrap().shortfalls_by_spare, [(0, 3)].into());
    assert_eq!(store.apply(report(2, None, 100, AWAY)), Response::Page { count: 0, next: None });
    assert_eq!(store.apply(report(9, None, 100, AWAY)), Response::Page { count: 0, next: None });
}

#[test]
fn one_disk_is_reported_without_the_others_of_its_node() {
    let mut store = store();
    let mut body = store.coded();
    body.shards[0].disk = location(77).disk;
    let (object, extent, expected) = (object(1), ExtentIndex(0), store.attempt(object(1), 0));
    store.apply(Command::ReplaceExtent { object, extent, expected, body, shortfall: None });
    let (node, disk, reason) = (location(1).node, Some(location(77).disk), ShortfallReason::DiskFailed);
    let command = Command::ReportLocation { node, disk, after: None, limit: 100, reason };
    assert_eq!(store.apply(command), Response::Page { count: 1, next: None });
    let list = store.view().shortfalls(None, 9).unwrap();
    assert_eq!((list.len(), list[0].0.object), (1, object));
    assert_eq!(list[0].1.missing, [MissingShard { shard: ShardIndex(0), cause: reason }]);
}

#[test]
fn a_node_that_is_back_takes_back_what_was_said_of_it_alone() {
    let mut store = store();
    store.apply(report(2, None, 100, AWAY));
    store.apply(report(3, None, 100, AWAY));
    assert_eq!(store.view().totals().unwrap().shortfalls_by_spare, [(ShortfallKey::LOST, 3)].into());
    // What was found in a shard itself stays, and so does a degraded profile.
    let found = |store: &mut Store, number, shortfall| {
        let (object, extent) = (object(number), ExtentIndex(0));
        let attempt = store.attempt(object, 0);
        store.apply(Command::ReportShortfall { object, extent, attempt, shortfall });
    };
    let corrupt = Shortfall { missing: vec![ShardIndex(1)], reason: ShortfallReason::Scrub };
    found(&mut store, 1, corrupt);
    found(&mut store, 2, Shortfall { missing: Vec::new(), reason: ShortfallReason::Outgrown });
    assert_eq!(store.apply(forgive(2, AWAY)), Response::Page { count: 2, next: None });
    assert_eq!(store.apply(forgive(3, ShortfallReason::DiskFailed)), Response::Page { count: 0, next: None });
    assert_eq!(store.apply(forgive(3, AWAY)), Response::Page { count: 3, next: None });
    let list = store.view().shortfalls(None, 9).unwrap();
    let seen: Vec<_> = list.iter().map(|(key, record)| (key.spare, key.object, record.reason().unwrap())).collect();
    assert_eq!(seen, [(0, object(1), ShortfallReason::Scrub), (1, object(2), ShortfallReason::Outgrown)]);
}

#[test]
fn what_is_nothing_of_a_whole_node_is_refused() {
    let mut store = store();
    for reason in ShortfallReason::ALL.into_iter().filter(|reason| !reason.is_of_location()) {
        assert!(matches!(store.apply(report(2, None, 9, reason)), Response::Malformed { .. }));
        assert!(matches!(store.apply(forgive(2, reason)), Response::Malformed { .. }));
    }
    assert!(matches!(store.apply(report(2, None, 0, AWAY)), Response::Malformed { .. }));
    let (node, disk) = (location(2).node, Some(location(2).disk));
    let after =
        Some(PlacementKey { disk: location(1).disk, object: object(1), extent: ExtentIndex(0), shard: ShardIndex(0) });
    let strayed = Command::ReportLocation { node, disk, after, limit: 9, reason: AWAY };
    assert!(matches!(store.apply(strayed), Response::Malformed { .. }));
}

#[test]
fn a_late_copy_of_a_report_does_not_undo_its_forgiveness() {
    let mut store = store();
    store.apply_as(7, report(2, None, 100, AWAY));
    store.apply(forgive(2, AWAY));
    assert_eq!(store.apply_as(7, report(2, None, 100, AWAY)), Response::Page { count: 3, next: None });
    assert_eq!(store.view().totals().unwrap().shortfalls, 0);
}
