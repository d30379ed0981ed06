//! Shortfalls and the replacement of extents.

use storage::shard::{Attempt, ExtentIndex, ShardIndex, ShardName};

use super::store::*;
use crate::catalog::*;

fn missing(shards: &[u8]) -> Shortfall {
    let missing = shards.iter().copied().map(ShardIndex).collect();
    Shortfall { missing, reason: ShortfallReason::ShardMissing }
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
    assert_eq!(list[0].1.reason, ShortfallReason::DegradedWrite);
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
    for body in [long, same, few] {
        assert!(matches!(store.apply(replace(1, attempt, body, None)), Response::Malformed { .. }));
    }
    assert!(matches!(store.apply(report(1, attempt, missing(&[3]))), Response::Malformed { .. }));
    assert!(matches!(store.apply(report(1, attempt, missing(&[1, 0]))), Response::Malformed { .. }));
}

#[test]
fn reports_of_one_extent_add_up_and_keep_the_first_cause_and_time() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let since = store.now;
    store.apply(report(1, attempt, missing(&[2])));
    store.wait(10);
    let lost = Shortfall { missing: vec![ShardIndex(0)], reason: ShortfallReason::LocationLost };
    store.apply(report(1, attempt, lost));
    store.apply(report(1, attempt, missing(&[2])));
    let record = store.view().shortfall(object(1), ExtentIndex(0)).unwrap().unwrap();
    assert_eq!(record.missing, [ShardIndex(0), ShardIndex(2)]);
    assert_eq!((record.reason, record.since), (ShortfallReason::ShardMissing, since));
    assert_eq!(store.view().totals().unwrap().shortfalls, 1);
}

#[test]
fn the_most_dangerous_come_first_and_the_hopeless_last() {
    let mut store = Store::new();
    for number in 1..=4 {
        store.push(number, "app", number);
        store.wait(1);
    }
    for (number, shards) in [(1, vec![0, 1]), (2, vec![]), (3, vec![0]), (4, vec![1])] {
        let attempt = store.attempt(object(number), 0);
        store.apply(report(number, attempt, missing(&shards)));
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
    body.shards[1] = location(7);
    store.apply(replace(1, attempt, body.clone(), None));
    assert!(there(&store, 2).is_empty());
    assert_eq!(there(&store, 7)[0].attempt, body.attempt);
    assert_eq!(there(&store, 1)[0].attempt, body.attempt);
}
