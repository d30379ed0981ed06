//! Who votes in a group, and who learns: a pure function from what is known to the next step.
//!
//! Every member of the group learns it. Up to five of them vote, an odd number where there is a choice, spread over
//! regions (`seats`) and zones. A voter that is gone for long is replaced when somebody else can vote; it never just leaves, since a smaller
//! quorum of what is left would be no safer. A node that is being emptied hands over its leadership at once, and its vote
//! as soon as somebody else can have it. A member goes only when the directory says that it was removed: one that is
//! not known may be one of which this node has not heard yet. One step at a time, each safe by itself.

use std::collections::{BTreeMap, BTreeSet};

use raft::directory::NodeState;
use raft::id::{NodeId, RegionId};

use super::seats::seats;

/// Entries that a learner may be behind when it is made a voter.
pub const CAUGHT_UP_ENTRIES: u64 = 1000;

/// Whether a node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Liveness {
    /// It answers.
    Live,
    /// It does not, but not for long.
    Away,
    /// It does not for so long that it should be replaced.
    Gone,
}

/// A node that belongs into the group, or did until it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Where peers reach it.
    pub address: String,
    /// Its region. Those of a catalog's group are all of one.
    pub region: RegionId,
    /// Its zone.
    pub zone: String,
    /// What it may do.
    pub state: NodeState,
    /// Address that the group's membership has for it, if it is a member.
    pub recorded_address: Option<String>,
    /// Whether it answers.
    pub liveness: Liveness,
    /// Entries that it is behind, as far as the leader knows.
    pub lag: Option<u64>,
}

/// One change of a group's membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let a node learn, or let a member be found at another address.
    AddLearner {
        /// The node.
        node: NodeId,
        /// Where peers reach it.
        address: String,
    },
    /// Make these the voters; former ones go on learning.
    SetVoters(BTreeSet<NodeId>),
    /// Let a node go.
    Remove(NodeId),
    /// Hand the leadership over: this node is leaving, or is not to vote any more.
    HandOver(NodeId),
}

/// The next step of a group that `own` leads; `None` when it is as it should be. `primary` is the region that keeps the
/// group where there are two.
#[must_use]
pub fn plan(
    own: NodeId,
    primary: RegionId,
    candidates: &[Candidate],
    voters: &BTreeSet<NodeId>,
    learners: &BTreeSet<NodeId>,
) -> Option<Step> {
    let (removed, candidates): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().partition(|candidate| candidate.state == NodeState::Removed);
    if let Some(removed) = removed.iter().find(|candidate| learners.contains(&candidate.node)) {
        return Some(Step::Remove(removed.node));
    }
    let to_record = |candidate: &&&Candidate| match &candidate.recorded_address {
        // One that does not answer could only hold up the others.
        None => candidate.liveness == Liveness::Live,
        Some(recorded) => *recorded != candidate.address,
    };
    if let Some(Candidate { node, address, .. }) = candidates.iter().find(to_record) {
        return Some(Step::AddLearner { node: *node, address: address.clone() });
    }
    let gone: BTreeSet<NodeId> = removed.iter().map(|candidate| candidate.node).collect();
    let chosen = choose(own, primary, &candidates, &(voters - &gone));
    if chosen.is_empty() {
        return None;
    }
    let stays = |candidate: &&&Candidate| candidate.node == own && candidate.state != NodeState::Draining;
    if !chosen.contains(&own) || !candidates.iter().any(|candidate| stays(&candidate)) {
        let can_lead = |candidate: &&&Candidate| {
            let active = candidate.liveness == Liveness::Live && candidate.state == NodeState::Active;
            active && candidate.node != own && voters.contains(&candidate.node) && chosen.contains(&candidate.node)
        };
        if let Some(heir) = candidates.iter().find(can_lead) {
            return Some(Step::HandOver(heir.node));
        }
    }
    if chosen == *voters {
        return None;
    }
    if voters.contains(&own) && !chosen.contains(&own) {
        // Nobody to hand over to yet: the others vote first.
        let mut with_own = chosen;
        with_own.insert(own);
        return (with_own != *voters).then_some(Step::SetVoters(with_own));
    }
    Some(Step::SetVoters(chosen))
}

/// Whether a learner is to become a voter, seen from itself: the leader decides, once it has caught up. Of the others
/// that answer it cannot tell whether they have.
#[must_use]
pub fn is_wanted(
    own: NodeId,
    leader: NodeId,
    primary: RegionId,
    candidates: &[Candidate],
    voters: &BTreeSet<NodeId>,
) -> bool {
    let caught_up: Vec<Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.state != NodeState::Removed)
        .map(|candidate| Candidate { lag: Some(0), ..candidate.clone() })
        .collect();
    !voters.contains(&own) && choose(leader, primary, &caught_up.iter().collect::<Vec<_>>(), voters).contains(&own)
}

/// The voters that there would be without a node that was removed, once all others that can have caught up.
#[must_use]
pub(super) fn voters_without(
    gone: NodeId,
    primary: RegionId,
    candidates: &[Candidate],
    voters: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    let stays = |candidate: &&Candidate| candidate.node != gone && candidate.state != NodeState::Removed;
    let stay: Vec<Candidate> =
        candidates.iter().filter(stays).map(|candidate| Candidate { lag: Some(0), ..candidate.clone() }).collect();
    let left: BTreeSet<NodeId> = voters.iter().copied().filter(|node| *node != gone).collect();
    // Whoever leads then is one that answers.
    let live = |candidate: &&Candidate| candidate.liveness == Liveness::Live && left.contains(&candidate.node);
    let Some(leader) = stay.iter().find(live) else { return left };
    choose(leader.node, primary, &stay.iter().collect::<Vec<_>>(), &left)
}

/// The voters that there should be now, out of present voters and learners that have caught up. Voters that nobody
/// knows keep their seats.
fn choose(own: NodeId, primary: RegionId, candidates: &[&Candidate], voters: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let can_vote = |candidate: &&Candidate| {
        let caught_up =
            candidate.liveness == Liveness::Live && candidate.lag.is_some_and(|lag| lag <= CAUGHT_UP_ENTRIES);
        let joined = candidate.state != NodeState::Joining;
        joined && (voters.contains(&candidate.node) || caught_up)
    };
    let (active, leaving): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().copied().filter(can_vote).partition(|candidate| candidate.state == NodeState::Active);
    // A node that is being emptied keeps its vote while nobody else can have it: with fewer voters the others would bear
    // fewer losses as long as it takes.
    let keeps_vote = |candidate: &&Candidate| voters.contains(&candidate.node) || active.is_empty();
    let leaving = leaving.into_iter().filter(keeps_vote);
    let mut rest: Vec<&Candidate> = active.iter().copied().chain(leaving).collect();
    let known = |node: &&NodeId| candidates.iter().any(|candidate| candidate.node == **node);
    let mut chosen: BTreeSet<NodeId> = voters.iter().filter(|node| !known(node)).copied().collect();
    let mut able: BTreeMap<RegionId, usize> = BTreeMap::new();
    for candidate in &rest {
        *able.entry(candidate.region).or_default() += 1;
    }
    let seats = seats(&able, primary, chosen.len());
    let mut regions: BTreeMap<RegionId, usize> = BTreeMap::new();
    let mut zones: BTreeMap<(RegionId, &str), usize> = BTreeMap::new();
    while chosen.len() < seats.total {
        let taken = |region: RegionId| regions.get(&region).copied().unwrap_or(0);
        let free =
            rest.iter().enumerate().filter(|(_, candidate)| taken(candidate.region) < seats.most(candidate.region));
        let best = free.min_by_key(|(_, candidate)| {
            (
                candidate.state != NodeState::Active,
                candidate.node != own,
                candidate.liveness == Liveness::Gone,
                taken(candidate.region),
                zones.get(&(candidate.region, candidate.zone.as_str())).copied().unwrap_or(0),
                !voters.contains(&candidate.node),
                candidate.node,
            )
        });
        let Some((index, _)) = best else { break };
        let candidate = rest.swap_remove(index);
        *regions.entry(candidate.region).or_default() += 1;
        *zones.entry((candidate.region, candidate.zone.as_str())).or_default() += 1;
        chosen.insert(candidate.node);
    }
    chosen
}

#[cfg(test)]
mod tests;
