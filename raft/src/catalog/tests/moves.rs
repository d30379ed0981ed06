//! Single shards moved to other places.

use storage::shard::{Attempt, ExtentIndex, ShardIndex};

use super::store::*;
use crate::catalog::*;

fn pushed() -> (Store, CodedExtent) {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let layout = store.layout(object(1), 0).unwrap();
    (store, layout)
}

fn command(expected: Attempt, attempt: Attempt, moves: &[(u8, ShardLocation)]) -> Command {
    let moves = moves.iter().map(|(shard, to)| ShardMove { shard: ShardIndex(*shard), to: *to }).collect();
    Command::MoveShards { object: object(1), extent: ExtentIndex(0), expected, attempt, moves }
}

#[test]
fn a_moved_shard_has_its_own_attempt_and_its_neighbours_keep_theirs() {
    let (mut store, before) = pushed();
    let to = location(4).shard(Attempt(9));
    let moving = command(before.attempt, Attempt(9), &[(1, to)]);
    assert_eq!(store.apply(moving.clone()), Response::Done);
    let after = store.layout(object(1), 0).unwrap();
    assert_eq!(after.attempt, Attempt(9));
    assert_eq!(after.shards, [before.shards[0], to, before.shards[2]]);
    let discards = store.view().discards(crate::time::Timestamp(u64::MAX), None, 9).unwrap();
    assert_eq!(discards.len(), 1);
    assert_eq!(discards[0].1.shards, [(ShardIndex(1), before.shards[1])], "the old shard alone is unlinked");
    assert_eq!(store.apply(moving), Response::Done, "a repetition is recognised");
    assert_eq!(store.discards().len(), 1);
    assert!(store.view().disks_of(location(2).node).unwrap().is_empty());
    assert_eq!(store.view().disks_of(location(4).node).unwrap()[0].1.shards, 1);
}

#[test]
fn a_move_within_the_same_disk_replaces_a_damaged_file() {
    let (mut store, before) = pushed();
    assert_eq!(store.move_shards(object(1), 0, before.attempt, &[(1, 2)]), Response::Done);
    let after = store.layout(object(1), 0).unwrap();
    assert_eq!(after.shards[1].on(), before.shards[1].on());
    assert_ne!(after.shards[1].attempt, before.shards[1].attempt);
    let placed = store.view().placements(location(2).node, location(2).disk, None, 9).unwrap();
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].attempt, after.shards[1].attempt);
}

#[test]
fn moved_shards_are_missing_no_more() {
    let (mut store, layout) = pushed();
    let missing = vec![ShardIndex(0), ShardIndex(2)];
    let shortfall = Shortfall { missing, reason: ShortfallReason::Inventory };
    let attempt = layout.attempt;
    store.apply(Command::ReportShortfall { object: object(1), extent: ExtentIndex(0), attempt, shortfall });
    assert_eq!(store.view().shortfalls(None, 9).unwrap()[0].0.spare, ShortfallKey::LOST);
    assert_eq!(store.move_shards(object(1), 0, attempt, &[(0, 4)]), Response::Done);
    let list = store.view().shortfalls(None, 9).unwrap();
    let (key, record) = &list[0];
    assert_eq!((list.len(), key.spare, record.missing.len()), (1, 0, 1));
    assert_eq!(record.attempt, store.attempt(object(1), 0), "it speaks of the new layout");
    let attempt = store.attempt(object(1), 0);
    assert_eq!(store.move_shards(object(1), 0, attempt, &[(1, 5), (2, 6)]), Response::Done);
    assert!(store.view().shortfalls(None, 9).unwrap().is_empty());
    assert!(store.view().totals().unwrap().shortfalls_by_spare.is_empty());
}

#[test]
fn a_layout_that_has_changed_meanwhile_is_left_alone() {
    let (mut store, layout) = pushed();
    assert_eq!(store.move_shards(object(1), 0, layout.attempt, &[(0, 4)]), Response::Done);
    let first = store.layout(object(1), 0).unwrap();
    assert_eq!(store.move_shards(object(1), 0, layout.attempt, &[(1, 5)]), Response::Stale);
    assert_eq!(store.move_shards(object(1), 0, first.attempt, &[(1, 5)]), Response::Done);
    // A late copy of the first move: its shard is in use, although the layout is another one by now.
    let late = command(layout.attempt, first.attempt, &[(0, first.shards[0])]);
    assert_eq!(store.apply(late), Response::Stale);
    assert!(store.layout(object(1), 0).unwrap().shards.contains(&first.shards[0]));
    assert_eq!(store.move_shards(object(9), 0, first.attempt, &[(0, 4)]), Response::Stale);
    let report = Shortfall { missing: vec![ShardIndex(0)], reason: ShortfallReason::ReadMissing };
    let (object, extent, attempt) = (object(1), ExtentIndex(0), first.attempt);
    assert_eq!(store.apply(Command::ReportShortfall { object, extent, attempt, shortfall: report }), Response::Stale);
}

#[test]
fn a_move_must_fit() {
    let (mut store, layout) = pushed();
    let (expected, fresh) = (layout.attempt, Attempt(50));
    let at = |node, attempt| location(node).shard(attempt);
    for (attempt, moves) in [
        (fresh, vec![]),
        (fresh, vec![(3, at(4, fresh))]),
        (fresh, vec![(1, at(4, fresh)), (0, at(5, fresh))]),
        (fresh, vec![(1, at(4, fresh)), (1, at(5, fresh))]),
        (fresh, vec![(1, at(3, fresh))]),
        (fresh, vec![(0, at(4, fresh)), (1, at(4, fresh))]),
        (fresh, vec![(0, at(4, Attempt(51)))]),
        (expected, vec![(0, at(4, expected))]),
    ] {
        let response = store.apply(command(expected, attempt, &moves));
        assert!(matches!(response, Response::Malformed { .. }), "{moves:?}: {response:?}");
    }
    assert_eq!(store.layout(object(1), 0).unwrap(), layout);
    // An attempt that wrote a shard which is still there is not fresh, although the layout has moved on.
    store.move_shards(object(1), 0, expected, &[(0, 4)]);
    let now = store.attempt(object(1), 0);
    let response = store.apply(command(now, expected, &[(0, at(1, expected))]));
    assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
    // Two shards may change places.
    let swap = [(1, at(3, fresh)), (2, at(2, fresh))];
    assert_eq!(store.apply(command(now, fresh, &swap)), Response::Done);
}
