//! The rules of the [`Atlas`](super::atlas::Atlas), without anything shared: what is broken, and what may break further.
//!
//! Holds: a part of the cluster is in the hand of one fault at a time. Of an extent, as one attempt wrote it, at most
//! one shard is ever damaged or lost, since the weakest profile that the product acknowledges (1+1, 2+1) bears one.
//! Only the run's victims are damaged at all. A wipe comes once, to a victim, while nobody else is damaged and the
//! contract bears the loss of one more node. Clocks are far off on a minority. All else that is broken comes back, so a
//! run beyond the promise may break it at will.
//!
//! Not here: time of its own, randomness, the doing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::FaultKind;
use super::target::{Part, Target, WrittenExtent};

/// How long a node has to be ready without a break before it counts as recovered: elections, heartbeats and the
/// deadlines of calls that wait on a broken connection are over by then.
pub const SETTLE: Duration = Duration::from_secs(15);

/// Names a fault that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u64);

impl fmt::Display for FaultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// What was decided about a run before it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Nodes whose loss the contract bears.
    pub tolerated: usize,
    /// Nodes whose data may be damaged.
    pub victims: BTreeSet<usize>,
    /// Whether more nodes may be impaired at a time than the contract bears.
    pub beyond_promise: bool,
    /// Data is damaged from this moment of the run on.
    pub damage_after: Duration,
}

/// What is seen of a node from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It takes requests.
    pub ready: bool,
    /// Extents below their redundancy, as it knows.
    pub under_replicated: u64,
}

/// What is broken right now.
#[derive(Debug)]
pub struct Chart {
    bounds: Bounds,
    broken: BTreeMap<FaultId, (FaultKind, Target)>,
    next: u64,
    /// Nodes whose faults have ended, and since when they have been ready.
    settling: BTreeMap<usize, Option<Duration>>,
    /// Whose shard of an extent is damaged or lost.
    damaged: BTreeMap<WrittenExtent, usize>,
    wiped: Option<usize>,
    /// Sets of nodes that were impaired at the same time and left so few that writes bear less than in the whole
    /// cluster, until all redundancy was seen restored.
    weak: BTreeSet<BTreeSet<usize>>,
    /// Since when nobody has been impaired and nothing below its redundancy.
    whole_since: Option<Duration>,
}

/// Losses that a write bears among so many nodes.
const fn parity(live: usize) -> usize {
    if live >= 4 { 2 } else { 1 }
}

impl Chart {
    /// Nothing is broken.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            broken: BTreeMap::new(),
            next: 0,
            settling: BTreeMap::new(),
            damaged: BTreeMap::new(),
            wiped: None,
            weak: BTreeSet::new(),
            whole_since: None,
        }
    }

    /// What was decided before.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Nodes that are down, cut off, restarting, on a broken disk or a clock that is far off, with damaged data, or
    /// not yet settled after such a thing.
    #[must_use]
    pub fn impaired_nodes(&self) -> BTreeSet<usize> {
        let broken = self.broken.values().flat_map(|(_, target)| &target.impairs);
        let mut impaired: BTreeSet<usize> = broken.chain(self.settling.keys()).copied().collect();
        impaired.extend(self.damaged.values());
        impaired.extend(self.wiped);
        impaired
    }

    /// Whether the contract promises service through the nodes that are not impaired.
    #[must_use]
    pub fn is_promised(&self) -> bool {
        self.is_borne(&self.impaired_nodes())
    }

    /// Voters that are lost for good.
    #[must_use]
    pub const fn lost_voters(&self) -> usize {
        if self.wiped.is_some() { 1 } else { 0 }
    }

    fn is_borne(&self, impaired: &BTreeSet<usize>) -> bool {
        // What was written while some were away lies on the others alone.
        let spared = |away: &BTreeSet<usize>| {
            impaired.difference(away).count() <= parity(self.bounds.nodes.saturating_sub(away.len()))
        };
        impaired.len() <= self.bounds.tolerated && self.weak.iter().all(spared)
    }

    fn is_borne_with(&self, more: &BTreeSet<usize>) -> bool {
        self.is_borne(&self.impaired_nodes().union(more).copied().collect())
    }

    /// Whether a fault that lasts may begin.
    #[must_use]
    pub fn may(&self, kind: FaultKind, target: &Target) -> bool {
        if self.broken.values().any(|(_, other)| !other.parts.is_disjoint(&target.parts)) {
            return false;
        }
        match kind {
            // Alone and borne; and the node must have been a whole one until then.
            FaultKind::Wipe => {
                let others = |node: &usize| !target.impairs.contains(node);
                self.wiped.is_none()
                    && target.impairs.len() == 1
                    && target.impairs.is_subset(&self.bounds.victims)
                    && !self.damaged.values().any(others)
                    && self.is_borne_with(&target.impairs)
            }
            FaultKind::ClockStep if !target.impairs.is_empty() => {
                let astray = self.broken.values().filter(|(kind, _)| *kind == FaultKind::ClockStep);
                let mut astray: BTreeSet<usize> = astray.flat_map(|(_, target)| &target.impairs).copied().collect();
                astray.extend(&target.impairs);
                astray.len() <= (self.bounds.nodes - 1) / 2 && self.is_allowed(&target.impairs)
            }
            _ => self.is_allowed(&target.impairs),
        }
    }

    fn is_allowed(&self, more: &BTreeSet<usize>) -> bool {
        self.bounds.beyond_promise || more.is_empty() || self.is_borne_with(more)
    }

    /// Begins a fault that lasts; `None` when it may not.
    pub fn begin(&mut self, kind: FaultKind, target: &Target) -> Option<FaultId> {
        if !self.may(kind, target) {
            return None;
        }
        Some(self.record(kind, target.clone()))
    }

    fn record(&mut self, kind: FaultKind, target: Target) -> FaultId {
        let id = FaultId(self.next);
        self.next += 1;
        self.broken.insert(id, (kind, target));
        self.remember_weakness();
        id
    }

    /// A process ended by itself. `None` when a fault has the process in its hand, and will start it again.
    pub fn fell(&mut self, number: usize) -> Option<FaultId> {
        let part = Part::Process(number);
        let held = self.broken.values().any(|(_, target)| target.parts.contains(&part));
        let target = Target { parts: BTreeSet::from([part]), impairs: BTreeSet::from([number]) };
        (!held).then(|| self.record(FaultKind::Crash, target))
    }

    /// A fault has ended. Its nodes have yet to settle.
    pub fn end(&mut self, id: FaultId) {
        if let Some((_, target)) = self.broken.remove(&id) {
            self.settling.extend(target.impairs.into_iter().map(|node| (node, None)));
        }
    }

    /// Whether data of a node may be damaged at this moment of the run.
    #[must_use]
    pub fn may_damage_on(&self, now: Duration, number: usize) -> bool {
        now >= self.bounds.damage_after
            && self.bounds.victims.contains(&number)
            && self.is_allowed(&BTreeSet::from([number]))
    }

    /// Whether a node's shard of an extent may be damaged at this moment of the run.
    #[must_use]
    pub fn may_damage(&self, now: Duration, number: usize, extent: &WrittenExtent) -> bool {
        self.may_damage_on(now, number) && self.damaged.get(extent).is_none_or(|other| *other == number)
    }

    /// Records that a node's shard of an extent is damaged. Whether it may be; if not, nothing is recorded.
    pub fn damage(&mut self, now: Duration, number: usize, extent: WrittenExtent) -> bool {
        let may = self.may_damage(now, number, &extent);
        if may {
            self.damaged.insert(extent, number);
            self.remember_weakness();
        }
        may
    }

    /// Records that a computer was wiped, with what lay on it. A wipe must have begun.
    pub fn wipe(&mut self, number: usize, lost: impl IntoIterator<Item = WrittenExtent>) {
        self.wiped = Some(number);
        self.damaged.extend(lost.into_iter().map(|extent| (extent, number)));
    }

    /// Whether a node's shard of an extent was damaged or lost.
    #[must_use]
    pub fn is_damaged(&self, number: usize, extent: &WrittenExtent) -> bool {
        self.damaged.get(extent) == Some(&number)
    }

    fn remember_weakness(&mut self) {
        let impaired = self.impaired_nodes();
        if parity(self.bounds.nodes.saturating_sub(impaired.len())) < self.bounds.tolerated {
            self.weak.insert(impaired);
        }
        self.whole_since = None;
    }

    /// Takes in how the nodes are, node 1 first.
    pub fn observe(&mut self, now: Duration, seen: &[Seen]) {
        let ready = |number: usize| seen.get(number.wrapping_sub(1)).is_some_and(|seen| seen.ready);
        let broken: BTreeSet<usize> =
            self.broken.values().flat_map(|(_, target)| target.impairs.iter().copied()).collect();
        self.settling.retain(|number, since| {
            if broken.contains(number) || !ready(*number) {
                *since = None;
                return true;
            }
            now.saturating_sub(*since.get_or_insert(now)) < SETTLE
        });
        let whole =
            self.impaired_nodes().is_empty() && seen.iter().all(|seen| seen.ready && seen.under_replicated == 0);
        if !whole {
            self.whole_since = None;
        } else if now.saturating_sub(*self.whole_since.get_or_insert(now)) >= SETTLE {
            self.weak.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::shard::{Attempt, ExtentIndex, ObjectId};

    use super::*;

    const LATE: Duration = Duration::from_secs(1000);

    fn bounds(nodes: usize, victims: &[usize], beyond_promise: bool) -> Bounds {
        Bounds {
            nodes,
            tolerated: if nodes < 5 { 1 } else { 2 },
            victims: victims.iter().copied().collect(),
            beyond_promise,
            damage_after: Duration::from_secs(10),
        }
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
        chart.wipe(2, [extent(1)]);
        chart.end(id);
        chart.observe(LATE + SETTLE * 2, &all_ready(3));
        chart.observe(LATE + SETTLE * 3, &all_ready(3));
        assert!(!chart.may(FaultKind::Wipe, &down(2)));
        assert_eq!(
            (chart.lost_voters(), chart.impaired_nodes()),
            (1, BTreeSet::from([2])),
            "its vote is lost for good"
        );
    }

    #[test]
    fn damage_elsewhere_keeps_a_wipe_away() {
        let mut chart = Chart::new(bounds(5, &[2, 4], true));
        assert!(chart.damage(LATE, 4, extent(1)));
        assert!(!chart.may(FaultKind::Wipe, &down(2)));
        assert!(chart.may(FaultKind::Wipe, &down(4)), "what is damaged there goes with it");
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
                        chart.wipe(node, there);
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
}
