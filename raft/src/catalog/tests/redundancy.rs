//! Shortfalls and the replacement of extents.

use storage::shard::{Attempt, ExtentIndex, ShardIndex, ShardName};

use super::store::*;
use crate::catalog::*;

fn missing(shards: &[u8]) -> Shortfall {
    let missing = shards.iter().copied().map(ShardIndex).collect();
    Shortfall { missing, reason: ShortfallReason::ReadMissing }
}

fn degraded() -> Shortfall {
    Shortfall { missing: Vec::new(), reason: ShortfallReason::DegradedWrite }
}

fn report(number: u8, attempt: Attempt, shortfall: Shortfall) -> Command {
    Command::ReportShortfall { object: object(number), extent: ExtentIndex(0), attempt, shortfall }
}

fn replace(number: u8, expected: Attempt, body: CodedExtent, shortfall: Option<Shortfall>) -> Command {
    Command::ReplaceExtent { object: object(number), extent: ExtentIndex(0), expected, body, shortfall }
}

#[test]
fn a_degraded_write_is_on_the_list_until_it_is_replaced() {
    let mut store = Store::new();
    store.start(1, "app");
    let body = store.coded();
    let old = body.attempt;
    store.finish(1, vec![NewExtent { body: ExtentBody::Coded(body), shortfall: Some(degraded()) }], 1);
    let list = store.view().shortfalls(None, 9).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].0.object, list[0].0.extent, list[0].0.spare), (object(1), ExtentIndex(0), 1));
    assert_eq!(
        (list[0].1.weak, list[0].1.reason()),
        (Some(ShortfallReason::DegradedWrite), Some(ShortfallReason::DegradedWrite))
    );
    let body = store.coded();
    let command = replace(1, old, body.clone(), None);
    assert_eq!(store.apply(command.clone()), Response::Done);
    assert_eq!(store.attempt(object(1), 0), body.attempt);
    assert!(store.view().shortfalls(None, 9).unwrap().is_empty());
    assert_eq!(store.discards()[0].attempt, old);
    assert_eq!(store.apply(command), Response::Done, "a repetition is recognised");
    assert_eq!(store.discards().len(), 1);
}

#[test]
fn an_extent_that_was_replaced_meanwhile_is_left_alone() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let (first, second) = (store.coded(), store.coded());
    assert_eq!(store.apply(replace(1, attempt, first, None)), Response::Done);
    assert_eq!(store.apply(replace(1, attempt, second.clone(), None)), Response::Stale);
    assert_eq!(store.apply(replace(9, attempt, second, None)), Response::Stale);
    assert_eq!(store.apply(report(1, attempt, missing(&[0]))), Response::Stale);
    assert_eq!(store.view().totals().unwrap().shortfalls, 0);
}

#[test]
fn a_replacement_must_fit() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let mut long = store.coded();
    long.geometry.length_bytes += 1;
    let same = CodedExtent { attempt, ..store.coded() };
    let mut few = store.coded();
    few.shards.pop();
    let mut crowded = store.coded();
    crowded.shards[1].node = crowded.shards[0].node;
    crowded.shards[1].disk = crowded.shards[0].disk;
    let mut strange = store.coded();
    strange.shards[2].attempt = Attempt(77);
    for body in [long, same, few, crowded, strange] {
        assert!(matches!(store.apply(replace(1, attempt, body, None)), Response::Malformed { .. }));
    }
    assert!(matches!(store.apply(report(1, attempt, missing(&[3]))), Response::Malformed { .. }));
    assert!(matches!(store.apply(report(1, attempt, missing(&[1, 0]))), Response::Malformed { .. }));
    assert!(matches!(store.apply(report(1, attempt, missing(&[]))), Response::Malformed { .. }));
    let weak = Shortfall { missing: vec![ShardIndex(0)], reason: ShortfallReason::Outgrown };
    assert!(matches!(store.apply(report(1, attempt, weak)), Response::Malformed { .. }));
}

#[test]
fn reports_of_one_extent_add_up_and_keep_the_first_cause_and_time() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let since = store.now;
    store.apply(report(1, attempt, missing(&[2])));
    store.wait(10);
    let rotten = Shortfall { missing: vec![ShardIndex(0), ShardIndex(2)], reason: ShortfallReason::Scrub };
    store.apply(report(1, attempt, rotten));
    store.apply(report(1, attempt, missing(&[2])));
    let record = store.view().shortfall(object(1), ExtentIndex(0)).unwrap().unwrap();
    let expected = [(0, ShortfallReason::Scrub), (2, ShortfallReason::ReadMissing)];
    assert_eq!(record.missing, expected.map(|(shard, cause)| MissingShard { shard: ShardIndex(shard), cause }));
    assert_eq!(record.since, since);
    let totals = store.view().totals().unwrap();
    assert_eq!(totals.shortfalls_by_spare, [(ShortfallKey::LOST, 1)].into());
    assert_eq!(store.view().totals().unwrap().shortfalls, 1);
}

#[test]
fn the_most_dangerous_come_first_and_the_hopeless_last() {
    let mut store = Store::new();
    for number in 1..=4 {
        store.push(number, "app", number);
        store.wait(1);
    }
    for (number, shards) in [(1, Some(vec![0, 1])), (2, None), (3, Some(vec![0])), (4, Some(vec![1]))] {
        let attempt = store.attempt(object(number), 0);
        let shortfall = shards.map_or_else(degraded, |shards| missing(&shards));
        assert_eq!(store.apply(report(number, attempt, shortfall)), Response::Done);
        store.wait(1);
    }
    let list = store.view().shortfalls(None, 9).unwrap();
    let order: Vec<_> = list.iter().map(|(key, _)| (key.spare, key.object)).collect();
    assert_eq!(order, [(0, object(3)), (0, object(4)), (1, object(2)), (ShortfallKey::LOST, object(1))]);
    let rest = store.view().shortfalls(Some(&list[1].0), 1).unwrap();
    assert_eq!(rest[0].0, list[2].0);
}

#[test]
fn placements_follow_the_extents() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let there = |store: &Store, node: u8| {
        let place = location(node);
        store.view().placements(place.node, place.disk, None, 9).unwrap()
    };
    let expected = ShardName { object: object(1), extent: ExtentIndex(0), attempt, shard: ShardIndex(1) };
    assert_eq!(there(&store, 2), [expected]);
    let mut body = store.coded();
    body.shards[1] = location(7).shard(body.attempt);
    assert_eq!(store.apply(replace(1, attempt, body.clone(), None)), Response::Done);
    assert!(there(&store, 2).is_empty());
    assert_eq!(there(&store, 7)[0].attempt, body.attempt);
    assert_eq!(there(&store, 1)[0].attempt, body.attempt);
    let bytes = body.geometry.shard_length_bytes();
    let one = PlacementTotals { shards: 1, bytes };
    assert_eq!(store.view().disks().unwrap(), [1, 3, 7].map(|node| (location(node), one)));
    assert_eq!(store.view().disks_of(location(7).node).unwrap(), [(location(7).disk, one)]);
    assert_eq!(store.view().disk_totals(location(2)).unwrap(), PlacementTotals::default());
}

#[test]
fn an_extent_that_is_as_good_as_it_can_be_is_weak_no_more() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let accept = |expected| Command::AcceptProfile { object: object(1), extent: ExtentIndex(0), expected };
    let outgrown = Shortfall { missing: Vec::new(), reason: ShortfallReason::Outgrown };
    store.apply(report(1, attempt, outgrown.clone()));
    store.apply(report(1, attempt, missing(&[1])));
    assert_eq!(store.apply(accept(Attempt(99))), Response::Stale);
    assert_eq!(store.apply(accept(attempt)), Response::Done);
    let record = store.view().shortfall(object(1), ExtentIndex(0)).unwrap().unwrap();
    assert_eq!((record.weak, record.missing.len()), (None, 1), "what is missing stays missing");
    assert_eq!(store.move_shards(object(1), 0, attempt, &[(1, 4)]), Response::Done);
    let attempt = store.attempt(object(1), 0);
    store.apply(report(1, attempt, outgrown));
    assert_eq!(store.apply(accept(attempt)), Response::Done);
    assert_eq!(store.apply(accept(attempt)), Response::Done, "a repetition is harmless");
    assert_eq!(store.view().totals().unwrap().shortfalls, 0);
}
