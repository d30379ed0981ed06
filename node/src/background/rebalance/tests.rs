//! The planner of the rebalancing: what it moves, that it comes to an end, and that it moves no more than it must.

use std::collections::BTreeSet;

use proptest::prelude::*;
use raft::id::NodeId;
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId};

use super::balance::{Balance, Fill};
use super::*;
use crate::gateway::placement::{Holder, HolderDisk, Standing};

const BLOCK: u32 = 1000;

fn at(node: u8, disk: u8) -> DiskLocation {
    DiskLocation { node: NodeId(node.into()), disk: DiskId([node, disk, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) }
}

/// Nodes with their zone and the sizes of their disks.
fn survey(nodes: &[(u8, Vec<u64>)]) -> Survey {
    let holder = |(node, (zone, disks)): (u8, &(u8, Vec<u64>))| {
        let disk = |(index, capacity_bytes): (u8, &u64)| HolderDisk {
            id: at(node, index).disk,
            capacity_bytes: *capacity_bytes,
            available_bytes: 1 << 50,
            writable: true,
            standing: Standing::Serving,
            ailing: false,
        };
        let (id, disks) = (NodeId(node.into()), (0..).zip(disks).map(disk).collect());
        (id, Holder { node: id, zone: zone.to_string(), live: true, draining: false, disks })
    };
    Survey { confirmed: true, sole: false, holders: (1..).zip(nodes).map(holder).collect() }
}

fn fills(survey: &Survey, extents: &[CodedExtent], band_percent: u8) -> Balance {
    let mut held: BTreeMap<DiskLocation, raft::catalog::PlacementTotals> = BTreeMap::new();
    for coded in extents {
        for location in &coded.shards {
            let totals = held.entry(location.on()).or_default();
            totals.shards += 1;
            totals.bytes += coded.geometry.shard_length_bytes();
        }
    }
    Balance::of(survey, &held.into_iter().collect::<Vec<_>>(), band_percent)
}

/// Moves shards until none should move. Returns the bytes that were moved.
fn settle(survey: &Survey, extents: &mut [CodedExtent], band_percent: u8) -> u64 {
    let avoided = BTreeSet::new();
    let mut moved = 0;
    let mut balance = fills(survey, extents, band_percent);
    loop {
        let mut found = false;
        for donor in balance.donors() {
            for (number, coded) in (0_u128..).zip(extents.iter_mut()) {
                let shard = coded.numbered().find(|(_, location)| location.on() == donor).map(|(shard, _)| shard);
                let Some(shard) = shard else { continue };
                let shard_bytes = coded.geometry.shard_length_bytes();
                let object = ObjectId(number.to_be_bytes());
                let wanted = Wanted { object, extent: ExtentIndex(0), shard_bytes, avoided: &avoided };
                if let Some(to) = choose(&balance, survey, coded, shard, &wanted) {
                    balance.shift(donor, to, shard_bytes);
                    coded.shards[usize::from(shard.0)] = to.shard(Attempt(2));
                    moved += shard_bytes;
                    found = true;
                }
            }
        }
        if !found {
            assert_eq!(balance, fills(survey, extents, band_percent));
            return moved;
        }
    }
}

/// An extent of some blocks whose shards lie on these disks.
fn extent(profile: &str, blocks: u64, disks: &[DiskLocation]) -> CodedExtent {
    let profile: storage::codec::Profile = profile.parse().unwrap();
    let length_bytes = blocks * u64::from(BLOCK) * profile.data() as u64;
    CodedExtent::written(Geometry { profile, block_size_bytes: BLOCK, length_bytes }, Attempt(1), disks)
}

#[test]
fn a_new_node_gets_its_share_and_no_more_than_the_band_asks_for_is_moved() {
    let survey = survey(&vec![(0, vec![1_000_000]); 5]);
    // Half full on four nodes, nothing on the fifth.
    let mut extents: Vec<CodedExtent> = (0..250_u32)
        .flat_map(|_| [[1, 2], [3, 4], [1, 3], [2, 4]].map(|[one, two]| extent("1+1", 1, &[at(one, 0), at(two, 0)])))
        .collect();
    let before = fills(&survey, &extents, 5);
    let least: u64 = before.flows().iter().map(|flow| flow.bytes).sum();
    assert_eq!(least, 350_000, "from nothing to the share of 400000 less the band");
    let moved = settle(&survey, &mut extents, 5);
    assert!((least..=least + 1000).contains(&moved), "{moved}");
    assert!(fills(&survey, &extents, 5).is_balanced());
    assert_eq!(settle(&survey, &mut extents, 5), 0);
}

#[test]
fn a_larger_disk_is_given_more() {
    let disks = BTreeMap::from([
        (at(1, 0), Fill { capacity_bytes: 1000, used_bytes: 500 }),
        (at(2, 0), Fill { capacity_bytes: 3000, used_bytes: 1500 }),
    ]);
    assert!(Balance::new(disks, 1).is_balanced());
    let disks = BTreeMap::from([
        (at(1, 0), Fill { capacity_bytes: 1000, used_bytes: 1000 }),
        (at(2, 0), Fill { capacity_bytes: 3000, used_bytes: 1000 }),
    ]);
    let flows = Balance::new(disks, 1).flows();
    assert_eq!((flows[0].from, flows[0].to), (at(1, 0), at(2, 0)));
    assert_eq!(flows.iter().map(|flow| flow.bytes).sum::<u64>(), 490);
}

#[test]
fn disks_within_the_band_are_left_as_they_are() {
    let disks = BTreeMap::from([
        (at(1, 0), Fill { capacity_bytes: 1000, used_bytes: 540 }),
        (at(2, 0), Fill { capacity_bytes: 1000, used_bytes: 460 }),
    ]);
    let balance = Balance::new(disks, 5);
    assert!(balance.is_balanced() && balance.donors().is_empty() && balance.flows().is_empty());
    assert!(Balance::new(BTreeMap::new(), 5).is_balanced());
}

#[test]
fn a_zone_is_never_crowded_for_the_sake_of_balance() {
    // Node 4 is empty, and in the zone of node 1.
    let zones = [(1, vec![100_000]), (2, vec![100_000]), (3, vec![100_000]), (1, vec![100_000])];
    let survey = survey(&zones);
    let mut extents: Vec<CodedExtent> = (0..60).map(|_| extent("2+1", 1, &[at(1, 0), at(2, 0), at(3, 0)])).collect();
    settle(&survey, &mut extents, 5);
    for coded in &extents {
        let zones: BTreeSet<&str> = coded.shards.iter().filter_map(|shard| survey.zone(shard.node)).collect();
        assert_eq!(zones.len(), 3);
    }
    assert!(extents.iter().any(|coded| coded.shards[0].node == NodeId(4)));
}

fn any_cluster() -> impl Strategy<Value = Vec<(u8, Vec<u64>)>> {
    let node = (0..3_u8, proptest::collection::vec(100_000..1_000_000_u64, 1..4));
    proptest::collection::vec(node, 3..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_converges_keeps_nodes_apart_and_moves_little(
        cluster in any_cluster(),
        seeds in proptest::collection::vec((any::<u64>(), 1..8_u64), 20..150),
        band_percent in 1..10_u8,
    ) {
        let survey = survey(&cluster);
        let nodes = u64::try_from(cluster.len()).unwrap();
        let mut extents: Vec<CodedExtent> = seeds.iter().map(|(seed, blocks)| {
            // The low nodes are given the most.
            let first = (seed % nodes) * (seed >> 8 & 1);
            let disks: Vec<DiskLocation> = (0..3).map(|shard| {
                let node = (first + shard) % nodes;
                let disks = cluster[usize::try_from(node).unwrap()].1.len() as u64;
                at(u8::try_from(node + 1).unwrap(), u8::try_from(seed >> 16 & 3).unwrap() % u8::try_from(disks).unwrap())
            }).collect();
            extent("2+1", *blocks, &disks)
        }).collect();
        let zones = |extents: &[CodedExtent]| -> Vec<usize> {
            extents.iter().map(|coded| {
                coded.shards.iter().filter_map(|shard| survey.zone(shard.node)).collect::<BTreeSet<_>>().len()
            }).collect()
        };
        let before = fills(&survey, &extents, band_percent);
        let spread = zones(&extents);
        let moved = settle(&survey, &mut extents, band_percent);
        let after = fills(&survey, &extents, band_percent);
        for coded in &extents {
            prop_assert_eq!(coded.shards.iter().map(|shard| shard.node).collect::<BTreeSet<_>>().len(), 3);
        }
        for (now, then) in zones(&extents).into_iter().zip(spread) {
            prop_assert!(now >= then);
        }
        // No byte is moved twice: what left the disks above their share is what was moved.
        let left: u64 = before.disks().iter().map(|(at, fill)| {
            fill.used_bytes.saturating_sub(after.disks()[at].used_bytes)
        }).sum();
        prop_assert_eq!(left, moved);
        if before.is_balanced() {
            prop_assert_eq!(moved, 0);
        }
        prop_assert_eq!(settle(&survey, &mut extents, band_percent), 0);
    }
}
