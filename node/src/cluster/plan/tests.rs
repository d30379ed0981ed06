//! Steps until a group is as it should be: voters over nodes, zones and regions that come, go and fail.

use proptest::prelude::*;

use super::*;

const PRIMARY: RegionId = RegionId(1);

fn candidate(node: u64) -> Candidate {
    Candidate {
        node: NodeId(node),
        address: format!("10.0.0.{node}:7000"),
        region: PRIMARY,
        zone: "default".to_owned(),
        state: NodeState::Active,
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
        match plan(own, PRIMARY, &candidates, &voters, &learners) {
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
        plan(NodeId(1), PRIMARY, &all, &ids(&[1]), &ids(&[])),
        Some(Step::AddLearner { node: NodeId(2), address: "10.0.0.2:7000".to_owned() })
    );
    all = recorded(&all, &ids(&[1, 2]));
    all[1].lag = Some(CAUGHT_UP_ENTRIES + 1);
    assert_eq!(plan(NodeId(1), PRIMARY, &all, &ids(&[1]), &ids(&[2])), None);
    all[1].lag = None;
    assert_eq!(plan(NodeId(1), PRIMARY, &all, &ids(&[1]), &ids(&[2])), None);
    all[1].lag = Some(CAUGHT_UP_ENTRIES);
    assert_eq!(plan(NodeId(1), PRIMARY, &all, &ids(&[1]), &ids(&[2])), Some(Step::SetVoters(ids(&[1, 2]))));
}

#[test]
fn a_dead_voter_stays_until_somebody_can_replace_it() {
    let mut all = recorded(&candidates(3), &ids(&[1, 2, 3]));
    all[2].liveness = Liveness::Gone;
    all[2].lag = None;
    assert_eq!(plan(NodeId(1), PRIMARY, &all, &ids(&[1, 2, 3]), &ids(&[])), None);
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
    assert_eq!(plan(NodeId(1), PRIMARY, &all, &ids(&[1, 2, 3]), &ids(&[])), Some(step));
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
    let wanted = |own, all: &[Candidate], voters: &[u64]| is_wanted(NodeId(own), NodeId(1), PRIMARY, all, &ids(voters));
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
    assert_eq!(plan(NodeId(1), PRIMARY, &all, &ids(&[1, 2, 3]), &ids(&[])), Some(Step::HandOver(NodeId(2))));
    assert_eq!(plan(NodeId(2), PRIMARY, &all, &ids(&[1, 2, 3]), &ids(&[])), None, "the new leader lets it vote");
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

/// Nodes by region: so many in region 1, 2, 3… Their ids count up.
fn in_regions(counts: &[u64]) -> Vec<Candidate> {
    let regions = counts.iter().enumerate().flat_map(|(index, count)| (0..*count).map(move |_| index + 1));
    let candidate = |(index, region): (usize, usize)| Candidate {
        region: RegionId(u32::try_from(region).unwrap()),
        ..candidate(index as u64 + 1)
    };
    regions.enumerate().map(candidate).collect()
}

/// Voters in each region.
fn by_region(all: &[Candidate], voters: &[u64]) -> Vec<usize> {
    let last = all.iter().map(|candidate| candidate.region.0).max().unwrap();
    let votes = |candidate: &&Candidate| voters.contains(&candidate.node.0);
    (1..=last).map(|region| all.iter().filter(votes).filter(|one| one.region == RegionId(region)).count()).collect()
}

#[test]
fn voters_are_spread_over_regions() {
    for (nodes, expected) in [
        (vec![3, 3, 3], vec![2, 2, 1]),
        (vec![1, 1, 1], vec![1, 1, 1]),
        (vec![3, 1, 1], vec![1, 1, 1]),
        (vec![3, 2, 1], vec![2, 2, 1]),
        (vec![1, 1, 1, 1, 1, 1], vec![1, 1, 1, 1, 1, 0]),
        (vec![3, 3], vec![3, 2]),
        (vec![4, 1], vec![4, 1]),
        (vec![2, 3], vec![2, 1]),
        (vec![2, 1], vec![2, 1]),
        (vec![1, 3], vec![1, 2]),
        (vec![1, 1], vec![1, 1]),
    ] {
        let all = in_regions(&nodes);
        let (voters, _) = settle(1, &all, &[1], &[]);
        assert_eq!(by_region(&all, &voters), expected, "{nodes:?}");
    }
}

#[test]
fn a_region_that_is_lost_gives_the_seat_that_others_may_have() {
    let mut all = in_regions(&[3, 3, 3]);
    let (voters, learners) = settle(1, &all, &[1], &[]);
    assert_eq!(by_region(&all, &voters), [2, 2, 1]);
    for one in all.iter_mut().filter(|one| one.region == RegionId(2)) {
        one.liveness = Liveness::Gone;
    }
    let (voters, learners) = settle(1, &all, &voters, &learners);
    assert_eq!(by_region(&all, &voters), [2, 1, 2]);
    for one in &mut all {
        one.liveness = Liveness::Live;
    }
    let (voters, _) = settle(1, &all, &voters, &learners);
    assert!(by_region(&all, &voters).into_iter().all(|votes| votes <= 2));
}

#[test]
fn it_is_known_who_would_vote_without_a_node() {
    let without = |gone, all: &[Candidate], voters: &[u64]| voters_without(NodeId(gone), PRIMARY, all, &ids(voters));
    let mut all = in_regions(&[1, 1, 1]);
    all[0].liveness = Liveness::Away;
    assert_eq!(without(3, &all, &[1, 2, 3]), ids(&[1, 2]), "one of the two does not answer");
    assert_eq!(without(1, &all, &[1, 2, 3]), ids(&[2, 3]));
    let mut all = in_regions(&[1, 3, 1]);
    all[0].liveness = Liveness::Away;
    assert_eq!(without(5, &all, &[1, 2, 5]), ids(&[1, 2, 3]), "another one takes its seat");
    all[1].liveness = Liveness::Away;
    assert_eq!(without(5, &all, &[1, 2, 5]), ids(&[1, 2]), "nobody answers who could lead");
}

#[test]
fn a_secondary_region_that_is_lost_does_not_hold_the_directory_of_the_primary() {
    let mut all = in_regions(&[5, 3]);
    let (voters, learners) = settle(1, &all, &[1], &[]);
    assert_eq!(by_region(&all, &voters), [3, 2]);
    for one in all.iter_mut().filter(|one| one.region == RegionId(2)) {
        one.liveness = Liveness::Gone;
    }
    assert_eq!(by_region(&all, &settle(1, &all, &voters, &learners).0), [5, 0]);
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

    #[test]
    fn the_loss_of_any_one_of_three_regions_keeps_a_quorum(
        counts in prop::collection::vec(1..5u64, 3..7),
        zones in prop::collection::vec("[ab]", 24),
        away in prop::collection::vec(0..6u8, 24),
    ) {
        let mut all = in_regions(&counts);
        for (index, one) in all.iter_mut().enumerate() {
            one.zone = zones[index].clone();
            // Some never come to vote; each region has one that does.
            let first = counts.iter().scan(0, |sum, count| { *sum += count; Some(*sum - count) });
            let stays = first.into_iter().any(|first| first == index as u64);
            if !stays && away[index] == 0 {
                one.liveness = Liveness::Away;
            }
        }
        let (voters, _) = settle(1, &all, &[1], &[]);
        let votes = by_region(&all, &voters);
        let total: usize = votes.iter().sum();
        prop_assert!(total == 3 || total == 5, "{votes:?}");
        prop_assert!(votes.iter().all(|lost| total - lost > total / 2), "{votes:?}");
    }

    #[test]
    fn of_two_regions_the_primary_keeps_a_quorum_alone_if_it_has_two_nodes(primary in 2..6u64, other in 1..6u64) {
        let all = in_regions(&[primary, other]);
        let leader = primary + 1;
        for own in [1, leader] {
            let votes = by_region(&all, &settle(own, &all, &[own], &[]).0);
            prop_assert!(votes[0] > votes[1], "{votes:?}");
            prop_assert!(votes[1] > 0 && (votes[0] + votes[1]) % 2 == 1, "{votes:?}");
        }
    }
}
