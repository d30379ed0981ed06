//! Who votes in a group, and who learns: a pure function from what is known to the next step.
//!
//! Every member of the group learns it. Up to five of them vote, an odd number where there is a choice, spread over
//! zones. A voter that is gone for long is replaced when somebody else can vote; it never just leaves, since a smaller
//! quorum of what is left would be no safer. A node that is being emptied hands over its leadership at once, and its vote
//! as soon as somebody else can have it. A member goes only when the directory says that it was removed: one that is
//! not known may be one of which this node has not heard yet. One step at a time, each safe by itself.

use std::collections::{BTreeMap, BTreeSet};

use raft::directory::NodeState;
use raft::id::NodeId;

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
    /// Its zone.
    pub zone: String,
    /// What it may do.
    pub state: NodeState,
    /// Whether it may vote: nodes of other regions only learn the directory.
    pub may_vote: bool,
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

/// Number of voters out of so many nodes that could vote. Two vote together although both are then needed: one vote
/// alone would be lost with its node.
#[must_use]
pub const fn voters_of(available: usize) -> usize {
    match available {
        0..=3 => available,
        4 => 3,
        _ => 5,
    }
}

/// The next step of a group that `own` leads; `None` when it is as it should be.
#[must_use]
pub fn plan(
    own: NodeId,
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
    let chosen = choose(own, &candidates, &(voters - &gone));
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
pub fn is_wanted(own: NodeId, leader: NodeId, candidates: &[Candidate], voters: &BTreeSet<NodeId>) -> bool {
    let caught_up: Vec<Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.state != NodeState::Removed)
        .map(|candidate| Candidate { lag: Some(0), ..candidate.clone() })
        .collect();
    !voters.contains(&own) && choose(leader, &caught_up.iter().collect::<Vec<_>>(), voters).contains(&own)
}

/// The voters that there should be now, out of present voters and learners that have caught up. Voters that nobody
/// knows keep their seats.
fn choose(own: NodeId, candidates: &[&Candidate], voters: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let can_vote = |candidate: &&Candidate| {
        let caught_up =
            candidate.liveness == Liveness::Live && candidate.lag.is_some_and(|lag| lag <= CAUGHT_UP_ENTRIES);
        let joined = candidate.state != NodeState::Joining;
        candidate.may_vote && joined && (voters.contains(&candidate.node) || caught_up)
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
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in chosen.len()..voters_of(rest.len() + chosen.len()) {
        let best = rest.iter().enumerate().min_by_key(|(_, candidate)| {
            (
                candidate.state != NodeState::Active,
                candidate.node != own,
                candidate.liveness == Liveness::Gone,
                zones.get(candidate.zone.as_str()).copied().unwrap_or(0),
                !voters.contains(&candidate.node),
                candidate.node,
            )
        });
        let Some((index, _)) = best else { break };
        let candidate = rest.swap_remove(index);
        *zones.entry(&candidate.zone).or_default() += 1;
        chosen.insert(candidate.node);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(node: u64) -> Candidate {
        Candidate {
            node: NodeId(node),
            address: format!("10.0.0.{node}:7000"),
            zone: "default".to_owned(),
            state: NodeState::Active,
            may_vote: true,
            recorded_address: None,
            liveness: Liveness::Live,
            lag: Some(0),
        }
    }

    fn ids(nodes: &[u64]) -> BTreeSet<NodeId> {
        nodes.iter().copied().map(NodeId).collect()
    }

    fn candidates(count: u64) -> Vec<Candidate> {
        (1..=count).map(candidate).collect()
    }

    /// The membership has the addresses of these.
    fn recorded(candidates: &[Candidate], members: &BTreeSet<NodeId>) -> Vec<Candidate> {
        let record = |candidate: &Candidate| {
            let recorded_address = members.contains(&candidate.node).then(|| candidate.address.clone());
            Candidate { recorded_address, ..candidate.clone() }
        };
        candidates.iter().map(record).collect()
    }

    /// Carries out steps until there are none; every learner catches up at once.
    fn settle(own: u64, candidates: &[Candidate], voters: &[u64], learners: &[u64]) -> (Vec<u64>, Vec<u64>) {
        let (mut voters, mut learners, mut own) = (ids(voters), ids(learners), NodeId(own));
        for _ in 0..100 {
            let candidates = recorded(candidates, &voters.union(&learners).copied().collect());
            match plan(own, &candidates, &voters, &learners) {
                None => {
                    let plain = |nodes: BTreeSet<NodeId>| nodes.into_iter().map(|node| node.0).collect();
                    return (plain(voters), plain(learners));
                }
                Some(Step::AddLearner { node, .. }) => assert!(learners.insert(node)),
                Some(Step::Remove(node)) => assert!(learners.remove(&node)),
                Some(Step::HandOver(node)) => own = node,
                Some(Step::SetVoters(next)) => {
                    learners.extend(voters.difference(&next).copied());
                    learners.retain(|node| !next.contains(node));
                    voters = next;
                }
            }
        }
        panic!("it does not settle");
    }

    #[test]
    fn a_cluster_grows_to_three_and_to_five_voters() {
        for (nodes, voters, learners) in [
            (1, vec![1], vec![]),
            (2, vec![1, 2], vec![]),
            (3, vec![1, 2, 3], vec![]),
            (4, vec![1, 2, 3], vec![4]),
            (5, vec![1, 2, 3, 4, 5], vec![]),
            (7, vec![1, 2, 3, 4, 5], vec![6, 7]),
        ] {
            assert_eq!(settle(1, &candidates(nodes), &[1], &[]), (voters, learners), "{nodes} nodes");
        }
    }

    #[test]
    fn a_learner_votes_only_once_it_has_caught_up() {
        let mut all = recorded(&candidates(2), &ids(&[1]));
        assert_eq!(
            plan(NodeId(1), &all, &ids(&[1]), &ids(&[])),
            Some(Step::AddLearner { node: NodeId(2), address: "10.0.0.2:7000".to_owned() })
        );
        all = recorded(&all, &ids(&[1, 2]));
        all[1].lag = Some(CAUGHT_UP_ENTRIES + 1);
        assert_eq!(plan(NodeId(1), &all, &ids(&[1]), &ids(&[2])), None);
        all[1].lag = None;
        assert_eq!(plan(NodeId(1), &all, &ids(&[1]), &ids(&[2])), None);
        all[1].lag = Some(CAUGHT_UP_ENTRIES);
        assert_eq!(plan(NodeId(1), &all, &ids(&[1]), &ids(&[2])), Some(Step::SetVoters(ids(&[1, 2]))));
    }

    #[test]
    fn a_dead_voter_stays_until_somebody_can_replace_it() {
        let mut all = recorded(&candidates(3), &ids(&[1, 2, 3]));
        all[2].liveness = Liveness::Gone;
        all[2].lag = None;
        assert_eq!(plan(NodeId(1), &all, &ids(&[1, 2, 3]), &ids(&[])), None);
        all.push(candidate(4));
        assert_eq!(settle(1, &all, &[1, 2, 3], &[]), (vec![1, 2, 4], vec![3]));
        all[2].liveness = Liveness::Away;
        assert_eq!(settle(1, &all, &[1, 2, 3], &[4]), (vec![1, 2, 3], vec![4]));
    }

    #[test]
    fn voters_are_spread_over_zones() {
        let mut all = candidates(4);
        for (index, zone) in ["a", "a", "a", "b"].into_iter().enumerate() {
            all[index].zone = zone.to_owned();
        }
        assert_eq!(settle(1, &all, &[1, 2, 3], &[4]), (vec![1, 2, 4], vec![3]));
    }

    #[test]
    fn a_member_that_has_moved_is_found_again() {
        let mut all = recorded(&candidates(3), &ids(&[1, 2, 3]));
        all[2].address = "10.0.0.9:7000".to_owned();
        let step = Step::AddLearner { node: NodeId(3), address: "10.0.0.9:7000".to_owned() };
        assert_eq!(plan(NodeId(1), &all, &ids(&[1, 2, 3]), &ids(&[])), Some(step));
    }

    #[test]
    fn removed_nodes_leave() {
        let mut all = candidates(4);
        all[2].state = NodeState::Removed;
        all[3].state = NodeState::Removed;
        assert_eq!(settle(1, &all, &[1, 2, 3], &[4]), (vec![1, 2], vec![]));
    }

    #[test]
    fn members_that_nobody_knows_stay() {
        assert_eq!(settle(1, &candidates(1), &[1, 2, 3], &[4]), (vec![1, 2, 3], vec![4]));
        assert_eq!(settle(1, &candidates(3), &[1, 2, 7], &[]), (vec![1, 2, 7], vec![3]));
    }

    #[test]
    fn joining_nodes_learn_and_do_not_vote() {
        let mut all = candidates(3);
        all[2].state = NodeState::Joining;
        assert_eq!(settle(1, &all, &[1], &[]), (vec![1, 2], vec![3]));
        all[2].liveness = Liveness::Gone;
        assert_eq!(settle(1, &all, &[1], &[]), (vec![1, 2], vec![]), "a join that broke off is in nobody's way");
    }

    #[test]
    fn a_node_knows_whether_it_is_to_vote() {
        let wanted = |own, all: &[Candidate], voters: &[u64]| is_wanted(NodeId(own), NodeId(1), all, &ids(voters));
        let mut all = candidates(3);
        all[2].lag = None;
        assert!(wanted(3, &all, &[1]) && wanted(3, &all, &[1, 2]));
        assert!(!wanted(3, &all, &[1, 2, 3]), "it does already");
        all[1].liveness = Liveness::Away;
        assert!(!wanted(3, &all, &[1, 2, 3]), "another one that is down changes nothing");
        let four = candidates(4);
        assert!(!wanted(4, &four, &[1, 2, 3]), "it is to learn only");
        assert!(wanted(4, &candidates(5), &[1, 2, 3]));
        assert!(!wanted(6, &candidates(6), &[1, 2, 3]), "the two before it are to vote");
        all[2].state = NodeState::Draining;
        assert!(!wanted(3, &all, &[1, 2]), "it is leaving");
    }

    #[test]
    fn a_leader_that_is_emptied_hands_over_first() {
        let mut all = recorded(&candidates(3), &ids(&[1, 2, 3]));
        all[0].state = NodeState::Draining;
        assert_eq!(plan(NodeId(1), &all, &ids(&[1, 2, 3]), &ids(&[])), Some(Step::HandOver(NodeId(2))));
        assert_eq!(plan(NodeId(2), &all, &ids(&[1, 2, 3]), &ids(&[])), None, "the new leader lets it vote");
        assert_eq!(settle(1, &all[..1], &[1], &[]), (vec![1], vec![]), "it leads while nobody else can");
        assert_eq!(settle(1, &all[..2], &[1], &[]), (vec![1, 2], vec![]));
    }

    #[test]
    fn a_node_that_is_emptied_gives_its_vote_to_whoever_can_have_it() {
        let mut all = recorded(&candidates(4), &ids(&[1, 2, 3, 4]));
        all[0].state = NodeState::Draining;
        assert_eq!(settle(1, &all, &[1, 2, 3], &[4]), (vec![2, 3, 4], vec![1]));
        all[3].lag = None;
        assert_eq!(settle(1, &all, &[1, 2, 3], &[4]), (vec![1, 2, 3], vec![4]), "nobody can have it yet");
        all[0].state = NodeState::Removed;
        assert_eq!(settle(2, &all, &[1, 2, 3], &[4]), (vec![2, 3], vec![4]), "once it is removed it has none");
    }

    #[test]
    fn a_dead_node_that_is_replaced_is_no_voter_once_it_is_removed() {
        let mut all = candidates(4);
        all[2].state = NodeState::Removed;
        all[2].liveness = Liveness::Gone;
        assert_eq!(settle(1, &all, &[1, 2, 3], &[]), (vec![1, 2, 4], vec![]));
    }

    #[test]
    fn nodes_of_other_regions_only_learn() {
        let mut all = candidates(3);
        all[1].may_vote = false;
        assert_eq!(settle(1, &all, &[1], &[]), (vec![1, 3], vec![2]));
    }

    proptest! {
        #[test]
        fn it_always_settles_with_voters(
            zones in prop::collection::vec("[abc]", 1..9),
            state in prop::collection::vec(0..8u8, 9),
            strangers in prop::collection::btree_set(20..25u64, 0..3),
        ) {
            let all: Vec<Candidate> = zones.into_iter().enumerate().map(|(index, zone)| {
                let mut candidate = candidate(index as u64 + 1);
                candidate.zone = zone;
                if index > 0 {
                    match state[index] {
                        0 => candidate.state = NodeState::Draining,
                        1 => candidate.liveness = Liveness::Gone,
                        2 => candidate.liveness = Liveness::Away,
                        3 => candidate.state = NodeState::Joining,
                        4 => candidate.state = NodeState::Removed,
                        _ => {}
                    }
                }
                candidate
            }).collect();
            let strangers: Vec<u64> = strangers.into_iter().collect();
            let (voters, learners) = settle(1, &all, &[1], &strangers);
            prop_assert!(!voters.is_empty() && voters.len() <= 5);
            prop_assert!(strangers.iter().all(|stranger| learners.contains(stranger)));
            let removed = |node: &u64| all.iter().any(|one| one.node.0 == *node && one.state == NodeState::Removed);
            prop_assert!(!voters.iter().chain(&learners).any(removed));
            let joining = |node: &u64| all.iter().any(|one| one.node.0 == *node && one.state == NodeState::Joining);
            prop_assert!(!voters.iter().any(joining));
        }
    }
}
