//! Placement: the table of profiles, refusals, and what holds for any cluster.

use std::collections::BTreeSet;

use proptest::prelude::*;
use raft::id::NodeId;
use storage::shard::{DiskId, ExtentIndex, ObjectId};

use super::{Candidate, CandidateDisk, Placement, PlacementError, parity, place};

fn disk(node: u64, index: u8, available_bytes: u64) -> CandidateDisk {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&node.to_be_bytes());
    id[15] = index;
    CandidateDisk { id: DiskId(id), available_bytes, writable: true }
}

fn node(id: u64, live: bool, disks: usize) -> Candidate {
    let disks = (0..disks).map(|index| disk(id, u8::try_from(index).unwrap(), 1 << 40)).collect();
    Candidate { node: NodeId(id), zone: format!("zone-{}", id % 3), live, disks }
}

fn cluster(registered: u64, live: u64) -> Vec<Candidate> {
    (1..=registered).map(|id| node(id, id <= live, 1)).collect()
}

fn placed(candidates: &[Candidate]) -> Result<Placement, PlacementError> {
    place(candidates, candidates.len() == 1, &BTreeSet::new(), ObjectId([9; 16]), ExtentIndex(0))
}

fn profile_of(candidates: &[Candidate]) -> (String, bool) {
    let placement = placed(candidates).unwrap();
    (placement.profile.to_string(), placement.degraded)
}

#[test]
fn the_profile_follows_the_live_nodes() {
    for (nodes, expected) in [(2, "1+1"), (3, "2+1"), (4, "2+2"), (5, "3+2"), (6, "4+2"), (11, "4+2"), (12, "8+3")] {
        assert_eq!(profile_of(&cluster(nodes, nodes)), (expected.to_owned(), false), "{nodes} nodes");
    }
}

#[test]
fn a_single_node_spreads_over_its_disks() {
    for (disks, expected) in [(1, "1+0"), (2, "1+1"), (3, "2+1"), (4, "3+1"), (12, "8+1")] {
        assert_eq!(profile_of(&[node(1, true, disks)]), (expected.to_owned(), false), "{disks} disks");
    }
}

#[test]
fn a_degraded_cluster_takes_the_profile_of_its_live_nodes_and_says_so() {
    assert_eq!(profile_of(&cluster(3, 2)), ("1+1".to_owned(), true));
    assert_eq!(profile_of(&cluster(5, 4)), ("2+2".to_owned(), true));
    assert_eq!(profile_of(&cluster(8, 7)), ("4+2".to_owned(), false));
}

#[test]
fn one_live_node_of_several_is_refused() {
    for registered in 2..=5 {
        let error = placed(&cluster(registered, 1)).unwrap_err();
        assert!(matches!(error, PlacementError::TooFewNodes { live: 1, needed: 2, .. }), "{error}");
    }
    assert!(matches!(placed(&cluster(1, 0)), Err(PlacementError::TooFewNodes { .. })));
    assert!(matches!(placed(&[]), Err(PlacementError::TooFewNodes { .. })));
}

#[test]
fn one_candidate_is_the_only_node_only_if_that_is_known() {
    for disks in 1..=3 {
        let error = place(&[node(1, true, disks)], false, &BTreeSet::new(), ObjectId([9; 16]), ExtentIndex(0));
        assert!(matches!(error, Err(PlacementError::TooFewNodes { live: 1, needed: 2, .. })), "{error:?}");
    }
}

#[test]
fn the_parity_to_be_acknowledged_is_that_of_the_placement_and_else_the_least_that_is_safe() {
    let least =
        |candidates: &[Candidate], sole| parity(candidates, sole, &BTreeSet::new(), ObjectId([9; 16]), ExtentIndex(0));
    assert_eq!(least(&[node(1, true, 1)], true), 0);
    assert_eq!(least(&[node(1, true, 2)], true), 1);
    assert_eq!(least(&[node(1, true, 1)], false), 1, "others may be there");
    assert_eq!(least(&cluster(2, 1), false), 1, "no place at present");
    assert_eq!((least(&cluster(3, 3), false), least(&cluster(5, 5), false)), (1, 2));
}

#[test]
fn full_disks_are_no_space_and_not_too_few_nodes() {
    let mut candidates = cluster(3, 3);
    for candidate in &mut candidates[..2] {
        candidate.disks[0].available_bytes = 0;
    }
    assert!(matches!(placed(&candidates), Err(PlacementError::NoSpace { .. })));
    candidates[0].disks[0].available_bytes = 1 << 40;
    assert_eq!(profile_of(&candidates), ("1+1".to_owned(), true));
    candidates[0].disks[0].writable = false;
    assert!(matches!(placed(&candidates), Err(PlacementError::NoSpace { .. })));
}

#[test]
fn a_single_node_with_several_disks_never_writes_to_one_alone() {
    let mut one = node(1, true, 2);
    one.disks[1].writable = false;
    assert!(matches!(placed(&[one]), Err(PlacementError::NoSpace { .. })));
    let mut three = node(1, true, 3);
    three.disks[1].writable = false;
    assert_eq!(profile_of(&[three]), ("1+1".to_owned(), true));
}

#[test]
fn a_disk_that_just_failed_is_avoided() {
    let candidates = cluster(3, 3);
    let avoided = BTreeSet::from([candidates[1].disks[0].id]);
    let placement = place(&candidates, false, &avoided, ObjectId([1; 16]), ExtentIndex(3)).unwrap();
    assert_eq!(placement.profile.to_string(), "1+1");
    assert!(placement.shards.iter().all(|shard| shard.node != NodeId(2)));
}

#[test]
fn more_free_space_gets_more_shards() {
    let mut candidates: Vec<Candidate> = (1..=7).map(|id| node(id, true, 1)).collect();
    for candidate in &mut candidates {
        candidate.zone = "one".to_owned();
    }
    candidates[0].disks[0].available_bytes = 1 << 34;
    let mut with_small = 0;
    for number in 0..1000_u16 {
        let mut object = [0; 16];
        object[..2].copy_from_slice(&number.to_le_bytes());
        let placement = place(&candidates, false, &BTreeSet::new(), ObjectId(object), ExtentIndex(0)).unwrap();
        with_small += usize::from(placement.shards.iter().any(|shard| shard.node == NodeId(1)));
    }
    // Six of seven nodes are chosen: an equal share would be 857.
    assert!(with_small < 200, "{with_small}");
}

#[test]
fn shards_spread_over_zones() {
    let candidates: Vec<Candidate> = (0..9).map(|id| node(id + 1, true, 1)).collect();
    let placement = placed(&candidates).unwrap();
    let zone = |location: &raft::catalog::DiskLocation| location.node.0 % 3;
    for number in 0..3 {
        assert_eq!(placement.shards.iter().filter(|shard| zone(shard) == number).count(), 2);
    }
}

fn any_candidate(id: u64) -> impl Strategy<Value = Candidate> {
    let disks = proptest::collection::vec((0_u64..3, any::<bool>()), 0..4);
    (any::<bool>(), 0..3_u8, disks).prop_map(move |(live, zone, disks)| Candidate {
        node: NodeId(id),
        zone: zone.to_string(),
        live,
        disks: disks
            .into_iter()
            .enumerate()
            .map(|(index, (gigabytes, writable))| CandidateDisk {
                writable,
                ..disk(id, u8::try_from(index).unwrap(), gigabytes << 30)
            })
            .collect(),
    })
}

fn any_cluster() -> impl Strategy<Value = Vec<Candidate>> {
    (0..15_u64).prop_flat_map(|nodes| (1..=nodes).map(any_candidate).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn shards_lie_on_distinct_usable_disks_and_nodes(
        candidates in any_cluster(), object in any::<[u8; 16]>(), extent in any::<u32>()
    ) {
        let Ok(placement) = place(&candidates, candidates.len() == 1, &BTreeSet::new(), ObjectId(object), ExtentIndex(extent)) else {
            return Ok(());
        };
        prop_assert_eq!(placement.shards.len(), placement.profile.shards());
        let disks: BTreeSet<_> = placement.shards.iter().map(|shard| shard.disk).collect();
        prop_assert_eq!(disks.len(), placement.shards.len());
        let nodes: BTreeSet<_> = placement.shards.iter().map(|shard| shard.node).collect();
        if candidates.len() > 1 {
            prop_assert_eq!(nodes.len(), placement.shards.len());
            prop_assert!(placement.profile.parity() >= 1);
        }
        for shard in &placement.shards {
            let candidate = candidates.iter().find(|candidate| candidate.node == shard.node).unwrap();
            let disk = candidate.disks.iter().find(|disk| disk.id == shard.disk).unwrap();
            prop_assert!(candidate.live && disk.writable && disk.available_bytes > 0);
        }
        let again = place(&candidates, candidates.len() == 1, &BTreeSet::new(), ObjectId(object), ExtentIndex(extent)).unwrap();
        prop_assert_eq!(again, placement);
    }
}
