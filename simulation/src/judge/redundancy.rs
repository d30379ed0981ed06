//! At rest every coded extent has the redundancy that the whole cluster gives: its profile is no weaker than the one that
//! follows from the number of nodes (a stronger one of a larger cluster may stay as long as it fits), its shards lie on
//! nodes of their own, and on disks that there are. Source: section 5 of the design ("never two shards of an extent on
//! one node", "a background task re-encodes it when the cluster is whole").
//!
//! The catalog's own list of what is below its redundancy is not asked what it should hold: an extent that it forgot is
//! what this is about. Those that are on it are excused here; that it becomes empty is the judge of liveness' to demand.
//! Not judged while a lost node is still a member: the cluster is not whole then.

use std::collections::{BTreeMap, BTreeSet};

use node::start::Node;
use raft::catalog::{CodedExtent, DiskLocation};
use storage::codec::Profile;

use super::Court;
use super::holdings::{ExtentKey, Holdings};

const JUDGE: &str = "redundancy";

/// Accuses of every extent that is weaker than it should be.
pub fn judge(holdings: &BTreeMap<usize, Holdings>, court: &Court) {
    let places: BTreeSet<DiskLocation> = holdings.values().flat_map(|holdings| &holdings.places).copied().collect();
    let nodes_of = |region| holdings.values().filter(|holdings| holdings.region == region).count();
    // Each extent is seen by everyone who has a shard of it, and all say the same.
    let extents: BTreeMap<ExtentKey, (&Holdings, &CodedExtent)> = holdings
        .values()
        .flat_map(|holdings| holdings.extents.iter().map(move |(key, coded)| (*key, (holdings, coded))))
        .collect();
    for ((object, index), (seen_by, coded)) in extents {
        if !seen_by.shortfalls.contains_key(&(object, index))
            && let Some(weakness) = weakness(coded, nodes_of(seen_by.region), &places)
        {
            let attempt = coded.attempt.0;
            court.accuse(
                JUDGE,
                format!("extent {} of object {object}, attempt {attempt:016x}: {weakness}, and it is not on the list of those below their redundancy", index.0),
            );
        }
    }
}

/// What a profile bears, then what it costs.
fn strength(profile: Profile) -> (usize, usize) {
    (profile.parity(), profile.data())
}

/// Why an extent has less than the redundancy of a whole cluster.
fn weakness(coded: &CodedExtent, nodes: usize, places: &BTreeSet<DiskLocation>) -> Option<String> {
    let (profile, whole) = (coded.geometry.profile, Node::whole_profile(nodes));
    if strength(profile) < strength(whole) {
        return Some(format!("its profile is {profile}, that of {nodes} nodes is {whole}"));
    }
    let mut holders = BTreeSet::new();
    let mut disks = BTreeSet::new();
    for location in &coded.shards {
        // The disks of the only node are what may be lost one by one.
        if !holders.insert(location.node) && nodes > 1 {
            return Some(format!("node {} holds two of its shards", location.node));
        }
        if !disks.insert(location.disk) {
            return Some(format!("disk {} holds two of its shards", location.disk));
        }
        if !places.contains(&location.on()) {
            return Some(format!("nobody has the disk {} of node {}", location.disk, location.node));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use raft::id::NodeId;
    use storage::shard::{Attempt, DiskId, Geometry};

    use super::super::holdings::testing::shard;
    use super::*;

    fn place(node: u64) -> DiskLocation {
        DiskLocation { node: NodeId(node), disk: DiskId([u8::try_from(node).unwrap(); 16]) }
    }

    fn extent(profile: &str, nodes: &[u64]) -> CodedExtent {
        let geometry = Geometry { profile: profile.parse().unwrap(), block_size_bytes: 8, length_bytes: 100 };
        CodedExtent {
            geometry,
            attempt: Attempt(1),
            shards: nodes.iter().map(|node| place(*node).shard(Attempt(1))).collect(),
        }
    }

    /// What is accused in a cluster of three nodes that has this extent.
    fn judged(extent: &CodedExtent, listed: bool) -> Option<String> {
        let key = (shard(1, 0).object, shard(1, 0).extent);
        let holdings = |number: usize| Holdings {
            places: BTreeSet::from([place(number as u64)]),
            extents: BTreeMap::from([(key, extent.clone())]),
            shortfalls: listed.then(|| (key, BTreeSet::new())).into_iter().collect(),
            ..Holdings::default()
        };
        let court = Court::default();
        judge(&(1..=3).map(|number| (number, holdings(number))).collect(), &court);
        assert!(court.all().len() <= 1, "one extent is one accusation");
        court.first().map(|violation| violation.text)
    }

    #[test]
    fn an_extent_of_the_whole_cluster_is_not_accused() {
        assert_eq!(judged(&extent("2+1", &[3, 1, 2]), false), None);
    }

    #[test]
    fn a_weak_extent_is_accused_unless_it_is_on_the_list() {
        assert!(judged(&extent("1+1", &[1, 2]), false).unwrap().contains("its profile is 1+1, that of 3 nodes is 2+1"));
        assert_eq!(judged(&extent("1+1", &[1, 2]), true), None);
        assert_eq!(judged(&extent("1+2", &[1, 2, 3]), false), None, "it bears more");
    }

    #[test]
    fn shards_that_share_a_node_or_lie_nowhere_are_accused() {
        assert!(judged(&extent("2+1", &[1, 2, 1]), false).unwrap().contains("node 1 holds two"));
        assert!(judged(&extent("2+1", &[1, 2, 9]), false).unwrap().contains("nobody has the disk"));
    }
}
