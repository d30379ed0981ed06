//! The rules of the [`Atlas`](super::atlas::Atlas), without anything shared: what is broken, and what may break further.
//!
//! Holds: a part of the cluster is in the hand of one fault at a time. Of an extent, as one attempt wrote it, at most
//! one shard is ever damaged or lost, since the weakest profile that the product acknowledges (1+1, 2+1) bears one.
//! Only the run's victims are damaged at all. Nodes that come bear nothing yet, and a node that is to go counts as gone for
//! what the cluster bears from the moment it is ordered to, and as there for what it may suffer until it is gone.
//! A wipe comes once, to a victim, while nobody else is damaged and the
//! contract bears the loss of one more node. Clocks are far off on a minority. All else that is broken comes back, so a
//! run beyond the promise may break it at will.
//!
//! Not here: time of its own, randomness, the doing.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::FaultKind;
use super::target::{Part, Target, WrittenExtent};

/// How long a node has to be ready without a break before it counts as recovered: elections, heartbeats and the
/// deadlines of calls that wait on a broken connection are over by then.
pub const SETTLE: Duration = Duration::from_secs(15);
/// Nodes below which no operator goes.
const SAFE_NODES: usize = 3;

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
    /// Whether the wiped node's former self is replaced, and so no member for ever.
    replaced: bool,
    /// Nodes that are members or about to be.
    members: BTreeSet<usize>,
    /// Nodes that have yet to join, and since when they have been ready.
    joining: BTreeMap<usize, Option<Duration>>,
    /// Nodes that are to go.
    leaving: BTreeSet<usize>,
    /// The fewest nodes that the cluster ever had, or was ordered to have.
    least: usize,
    /// Sets of nodes that were impaired at the same time and left so few that writes bear less than in the whole
    /// cluster, until all redundancy was seen restored.
    weak: BTreeSet<BTreeSet<usize>>,
    /// Since when nobody has been impaired and nothing below its redundancy.
    whole_since: Option<Duration>,
}

/// Nodes that may be lost at the same time of so many without anything becoming unreadable, as the contract says: none
/// of two, one of three or four, two of five and more.
#[must_use]
pub const fn tolerated(nodes: usize) -> usize {
    match nodes {
        0..=2 => 0,
        3 | 4 => 1,
        _ => 2,
    }
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
            members: (1..=bounds.nodes).collect(),
            joining: BTreeMap::new(),
            leaving: BTreeSet::new(),
            least: bounds.nodes,
            replaced: false,
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
        impaired.retain(|number| self.members.contains(number));
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
        if self.wiped.is_some() && !self.replaced { 1 } else { 0 }
    }

    fn is_borne(&self, impaired: &BTreeSet<usize>) -> bool {
        // What was written while some were away lies on the others alone.
        let spared =
            |away: &BTreeSet<usize>| impaired.difference(away).count() <= parity(self.least.saturating_sub(away.len()));
        impaired.len() <= tolerated(self.least) && self.weak.iter().all(spared)
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
        // What has left is nobody's any more.
        if !target.impairs.is_subset(&self.members) {
            return false;
        }
        match kind {
            // Alone and borne; and the node must have been a whole one until then.
            FaultKind::Wipe => {
                let others = |node: &usize| !target.impairs.contains(node);
                self.wiped.is_none()
                    && target.impairs.len() == 1
                    && target.impairs.is_subset(&self.bounds.victims)
                    && target.impairs.is_disjoint(&self.leaving)
                    && !self.damaged.values().any(others)
                    && self.is_borne_with(&target.impairs)
            }
            FaultKind::ClockStep if !target.impairs.is_empty() => {
                let astray = self.broken.values().filter(|(kind, _)| *kind == FaultKind::ClockStep);
                let mut astray: BTreeSet<usize> = astray.flat_map(|(_, target)| &target.impairs).copied().collect();
                astray.extend(&target.impairs);
                astray.len() <= (self.least - 1) / 2 && self.is_allowed(&target.impairs)
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
            && self.members.contains(&number)
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

    /// Nodes that can be asked for something, but not be relied on yet.
    #[must_use]
    pub fn joining_nodes(&self) -> BTreeSet<usize> {
        self.joining.keys().copied().collect()
    }

    /// A node is to come: it may be hit like the others from now on.
    pub fn joins(&mut self, number: usize) {
        self.members.insert(number);
        self.joining.insert(number, None);
    }

    /// Whether another node may take the place of this one: it is a member that is there for good, and no vote is lost.
    #[must_use]
    pub fn may_be_replaced(&self, number: usize) -> bool {
        self.members.contains(&number)
            && !self.leaving.contains(&number)
            && !self.joining.contains_key(&number)
            && self.wiped != Some(number)
            && self.lost_voters() == 0
    }

    /// Whether an operator may order a node to go: enough remain besides.
    #[must_use]
    pub fn may_leave(&self, number: usize) -> bool {
        self.may_be_replaced(number) && self.staying() > SAFE_NODES
    }

    /// Members that neither come nor go.
    fn staying(&self) -> usize {
        self.members
            .iter()
            .filter(|number| !self.leaving.contains(number) && !self.joining.contains_key(number))
            .count()
    }

    /// A node is to go when the one that takes its place has come.
    pub fn is_replaced(&mut self, number: usize, by: usize) {
        self.leaving.insert(number);
        self.joins(by);
    }

    /// A node is to go: what the others bear alone is what is borne from now on.
    pub fn leaves(&mut self, number: usize) {
        self.leaving.insert(number);
        self.least = self.least.min(self.staying());
    }

    /// A node that was to go stays after all.
    pub fn stays(&mut self, number: usize) {
        self.leaving.remove(&number);
    }

    /// A node is gone.
    pub fn departed(&mut self, number: usize) {
        self.members.remove(&number);
        self.joining.remove(&number);
        self.leaving.remove(&number);
        self.settling.remove(&number);
        self.damaged.retain(|_, node| *node != number);
    }

    /// Nodes that faults may hit, in order.
    #[must_use]
    pub fn members(&self) -> Vec<usize> {
        self.members.iter().copied().collect()
    }

    /// Records that a computer was wiped, with what lay on it. A wipe must have begun. `replaced` says that its new node
    /// takes the place of the old one.
    pub fn wipe(&mut self, number: usize, replaced: bool, lost: impl IntoIterator<Item = WrittenExtent>) {
        self.wiped = Some(number);
        self.replaced = replaced;
        self.damaged.extend(lost.into_iter().map(|extent| (extent, number)));
    }

    /// Whether a node's shard of an extent was damaged or lost.
    #[must_use]
    pub fn is_damaged(&self, number: usize, extent: &WrittenExtent) -> bool {
        self.damaged.get(extent) == Some(&number)
    }

    fn remember_weakness(&mut self) {
        let impaired = self.impaired_nodes();
        if parity(self.least.saturating_sub(impaired.len())) < tolerated(self.least) {
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
        self.joining.retain(|number, since| {
            if broken.contains(number) || !ready(*number) {
                *since = None;
                return true;
            }
            now.saturating_sub(*since.get_or_insert(now)) < SETTLE
        });
        let is_whole = |number: &usize| {
            seen.get(number.wrapping_sub(1)).is_some_and(|seen| seen.ready && seen.under_replicated == 0)
        };
        let whole = self.impaired_nodes().is_empty() && self.members.iter().all(is_whole);
        if !whole {
            self.whole_since = None;
        } else if now.saturating_sub(*self.whole_since.get_or_insert(now)) >= SETTLE {
            self.weak.clear();
        }
    }
}
