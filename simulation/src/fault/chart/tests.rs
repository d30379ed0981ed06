//! What the chart allows.

use proptest::prelude::*;
use storage::shard::{Attempt, ExtentIndex, ObjectId};

use super::*;

const LATE: Duration = Duration::from_secs(1000);

fn bounds(nodes: usize, victims: &[usize], beyond_promise: bool) -> Bounds {
    Bounds { nodes, victims: victims.iter().copied().collect(), beyond_promise, damage_after: Duration::from_secs(10) }
}

fn down(number: usize) -> Target {
    Target { parts: BTreeSet::from([Part::Process(number)]), impairs: BTreeSet::from([number]) }
}

fn extent(number: u64) -> WrittenExtent {
    WrittenExtent(ObjectId([7; 16]), ExtentIndex(0), Attempt(number))
}

fn all_ready(nodes: usize) -> Vec<Seen> {
    vec![Seen { ready: true, under_replicated: 0 }; nodes]
}

#[test]
fn within_the_promise_the_next_node_fails_only_when_the_last_one_has_settled() {
    let mut chart = Chart::new(bounds(3, &[2], false));
    let first = chart.begin(FaultKind::Crash, &down(1)).unwrap();
    assert!(!chart.may(FaultKind::Crash, &down(2)));
    chart.end(first);
    assert!(!chart.may(FaultKind::Crash, &down(2)), "node 1 is not back yet");
    let mut seen = all_ready(3);
    seen[0].ready = false;
    chart.observe(Duration::from_secs(100), &seen);
    chart.observe(Duration::from_secs(101), &all_ready(3));
    chart.observe(Duration::from_secs(100) + SETTLE, &all_ready(3));
    assert!(!chart.may(FaultKind::Crash, &down(2)));
    chart.observe(Duration::from_secs(101) + SETTLE, &all_ready(3));
    assert!(chart.may(FaultKind::Crash, &down(2)) && chart.impaired_nodes().is_empty());
}

#[test]
fn beyond_the_promise_everything_may_fail_and_nothing_is_promised() {
    let mut chart = Chart::new(bounds(3, &[2], true));
    for number in 1..=3 {
        assert!(chart.is_promised() == (number < 3));
        chart.begin(FaultKind::Crash, &down(number)).unwrap();
    }
    assert_eq!(chart.impaired_nodes(), BTreeSet::from([1, 2, 3]));
}

#[test]
fn a_part_is_in_one_hand() {
    let mut chart = Chart::new(bounds(3, &[2], true));
    let id = chart.begin(FaultKind::Crash, &down(1)).unwrap();
    assert_eq!(chart.begin(FaultKind::PowerLoss, &down(1)), None);
    assert_eq!(chart.fell(1), None, "whoever has it starts it again");
    chart.end(id);
    let id = chart.fell(1).unwrap();
    assert!(!chart.may(FaultKind::Crash, &down(1)));
    chart.end(id);
}

#[test]
fn one_shard_of_an_extent_is_damaged_and_only_on_victims() {
    let mut chart = Chart::new(bounds(5, &[2, 4], true));
    assert!(!chart.damage(Duration::from_secs(9), 2, extent(1)), "too early");
    assert!(!chart.damage(LATE, 1, extent(1)));
    assert!(chart.damage(LATE, 2, extent(1)));
    assert!(chart.damage(LATE, 2, extent(1)), "the same shard");
    assert!(!chart.damage(LATE, 4, extent(1)));
    assert!(chart.damage(LATE, 4, extent(2)));
    assert_eq!(chart.impaired_nodes(), BTreeSet::from([2, 4]));
}

#[test]
fn a_wipe_comes_once_and_to_a_victim_while_it_is_borne() {
    let mut chart = Chart::new(bounds(3, &[2], true));
    assert!(!chart.may(FaultKind::Wipe, &down(1)));
    let other = chart.begin(FaultKind::Crash, &down(3)).unwrap();
    assert!(!chart.may(FaultKind::Wipe, &down(2)), "node 3 is down");
    chart.end(other);
    chart.observe(LATE, &all_ready(3));
    chart.observe(LATE + SETTLE, &all_ready(3));
    let id = chart.begin(FaultKind::Wipe, &down(2)).unwrap();
    chart.wipe(2, false, [extent(1)]);
    chart.end(id);
    chart.observe(LATE + SETTLE * 2, &all_ready(3));
    chart.observe(LATE + SETTLE * 3, &all_ready(3));
    assert!(!chart.may(FaultKind::Wipe, &down(2)));
    assert_eq!((chart.lost_voters(), chart.impaired_nodes()), (1, BTreeSet::from([2])), "its vote is lost for good");
}

#[test]
fn damage_elsewhere_keeps_a_wipe_away() {
    let mut chart = Chart::new(bounds(5, &[2, 4], true));
    assert!(chart.damage(LATE, 4, extent(1)));
    assert!(!chart.may(FaultKind::Wipe, &down(2)));
    assert!(chart.may(FaultKind::Wipe, &down(4)), "what is damaged there goes with it");
}

#[test]
fn who_is_to_go_counts_as_gone_for_what_is_borne_and_as_there_for_what_is_suffered() {
    let mut chart = Chart::new(bounds(5, &[2], false));
    assert!(chart.may_leave(1) && chart.begin(FaultKind::Crash, &down(5)).is_some());
    chart.leaves(1);
    assert!(!chart.may_leave(1) && chart.may_leave(2));
    assert!(!chart.may(FaultKind::Crash, &down(4)), "four nodes bear one");
    assert!(!chart.may(FaultKind::Wipe, &down(1)));
    chart.departed(1);
    assert!(!chart.may(FaultKind::Crash, &down(1)) && chart.members() == [2, 3, 4, 5]);
    chart.leaves(2);
    assert!(!chart.may_leave(3), "three have to stay");
    chart.stays(2);
    assert!(chart.may_leave(3));
}

#[test]
fn who_comes_is_not_relied_on_until_it_has_settled() {
    let mut chart = Chart::new(bounds(3, &[2], false));
    chart.joins(4);
    assert!(chart.is_promised() && chart.impaired_nodes().is_empty());
    assert!(!chart.may_leave(1) && !chart.may_leave(4), "it may not have come yet");
    assert!(chart.may(FaultKind::Crash, &down(4)));
    chart.observe(LATE, &all_ready(4));
    assert_eq!(chart.joining_nodes(), BTreeSet::from([4]));
    chart.observe(LATE + SETTLE, &all_ready(4));
    assert!(chart.joining_nodes().is_empty() && chart.may_leave(1));
}

#[test]
fn clocks_are_far_off_on_a_minority() {
    let clock = |number| Target { parts: BTreeSet::from([Part::Clock(number)]), impairs: BTreeSet::from([number]) };
    let mut chart = Chart::new(bounds(4, &[2], true));
    assert!(chart.begin(FaultKind::ClockStep, &clock(1)).is_some());
    assert!(chart.begin(FaultKind::ClockStep, &clock(2)).is_none());
    let near = Target { impairs: BTreeSet::new(), ..clock(2) };
    assert!(chart.begin(FaultKind::ClockStep, &near).is_some());
    assert_eq!(chart.impaired_nodes(), BTreeSet::from([1]));
}

#[test]
fn a_bad_link_of_a_client_impairs_nobody() {
    let mut chart = Chart::new(bounds(3, &[], false));
    let target = Target { parts: BTreeSet::from([Part::ClientLink(2, 1)]), impairs: BTreeSet::new() };
    assert!(chart.begin(FaultKind::MessageLoss, &target).is_some());
    assert!(chart.impaired_nodes().is_empty() && chart.is_promised());
}

#[test]
fn what_was_written_on_three_of_five_bears_one_more_until_it_was_coded_anew() {
    let mut chart = Chart::new(bounds(5, &[], true));
    let ids: Vec<_> = [1, 2].map(|number| chart.begin(FaultKind::Outage, &down(number)).unwrap()).into();
    assert!(chart.is_promised());
    for id in ids {
        chart.end(id);
    }
    let mut seen = all_ready(5);
    seen[4].under_replicated = 1;
    chart.observe(LATE, &seen);
    chart.observe(LATE + SETTLE, &seen);
    assert!(chart.impaired_nodes().is_empty());
    let ids: Vec<_> = [3, 4].map(|number| chart.begin(FaultKind::Outage, &down(number)).unwrap()).into();
    assert!(!chart.is_promised());
    for id in ids {
        chart.end(id);
    }
    for step in 2..6 {
        chart.observe(LATE + SETTLE * step, &all_ready(5));
    }
    chart.begin(FaultKind::Outage, &down(3)).unwrap();
    chart.begin(FaultKind::Outage, &down(5)).unwrap();
    assert!(chart.is_promised());
}

proptest! {
    /// Whatever is tried: never more data damaged than borne, and within the promise it holds all the time.
    #[test]
    fn it_stays_winnable(
        nodes in 3..=7_usize,
        beyond: bool,
        tries in prop::collection::vec((0..5_u8, 0..7_usize, 0..12_u64), 1..200),
    ) {
        let victims = if nodes < 5 { vec![2] } else { vec![2, 4] };
        let mut chart = Chart::new(bounds(nodes, &victims, beyond));
        let mut lost: BTreeMap<WrittenExtent, BTreeSet<usize>> = BTreeMap::new();
        let mut active = Vec::new();
        let mut wipes = 0;
        for (moment, (what, node, number)) in tries.into_iter().enumerate() {
            let node = node % nodes + 1;
            let now = Duration::from_secs(moment as u64 * 4);
            match what {
                0 => active.extend(chart.begin(FaultKind::PowerLoss, &down(node))),
                1 => active.pop().into_iter().for_each(|id| chart.end(id)),
                2 if chart.damage(now, node, extent(number)) => {
                    lost.entry(extent(number)).or_default().insert(node);
                }
                3 if number == 0 => if let Some(id) = chart.begin(FaultKind::Wipe, &down(node)) {
                    wipes += 1;
                    // Every second extent has a shard there.
                    let there: Vec<_> = (0..12).filter(|number| number % 2 == 0).map(extent).collect();
                    for extent in &there {
                        lost.entry(*extent).or_default().insert(node);
                    }
                    chart.wipe(node, false, there);
                    chart.end(id);
                },
                _ => chart.observe(now, &all_ready(nodes)),
            }
            prop_assert!(wipes <= 1);
            prop_assert!(lost.values().all(|nodes| nodes.len() <= 1), "{lost:?}");
            prop_assert!(beyond || chart.is_promised());
        }
    }
}
