//! The regions as a status shows them: a pure function from what the directory says and who answers.

use std::collections::BTreeMap;

use raft::directory::{NodeRecord, NodeState, RegionRecord};
use raft::id::{NodeId, RegionId};

use crate::admin::{RegionState, RegionStatus};

/// What is known when the regions are asked for.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// The regions, by id.
    pub(super) regions: &'a [(RegionId, RegionRecord)],
    /// Region that keeps the directory's majority where there are two.
    pub(super) primary: Option<RegionId>,
    /// The own region.
    pub(super) own: RegionId,
    /// Whether the own region's catalog has a quorum.
    pub(super) own_serves: bool,
    /// Nodes that were not removed.
    pub(super) nodes: &'a [(NodeId, NodeRecord)],
    /// Who votes in the directory.
    pub(super) voters: &'a [NodeId],
}

/// Whether a node answers, and whether it says that it takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) live: bool,
    pub(super) ready: bool,
}

/// The regions.
pub(super) fn regions(facts: &Facts<'_>, answers: impl Fn(NodeId) -> Answers) -> Vec<RegionStatus> {
    let status = |(region, record): &(RegionId, RegionRecord)| {
        let has_run = |(_, node): &&(NodeId, NodeRecord)| node.region == *region && node.state != NodeState::Joining;
        let nodes: Vec<NodeId> = facts.nodes.iter().filter(has_run).map(|(node, _)| *node).collect();
        let live: Vec<Answers> = nodes.iter().map(|node| answers(*node)).filter(|answer| answer.live).collect();
        let own = *region == facts.own;
        let serves = if own { facts.own_serves } else { live.iter().any(|answer| answer.ready) };
        RegionStatus {
            id: region.0,
            name: record.name.clone(),
            own,
            primary: facts.primary == Some(*region),
            public_url: record.public_url.clone(),
            inbound_bytes_per_second: record.inbound_bytes_per_second,
            nodes: nodes.len() as u64,
            live: live.len() as u64,
            directory_voters: nodes.iter().filter(|node| facts.voters.contains(node)).count() as u64,
            state: match (nodes.len(), live.len()) {
                (0, _) => RegionState::Empty,
                (_, 0) => RegionState::Silent,
                _ if serves => RegionState::Serves,
                _ => RegionState::NoQuorum,
            },
        }
    };
    facts.regions.iter().map(status).collect()
}

/// Nodes of each region, of those that are counted.
pub(super) fn by_region<'a>(nodes: impl Iterator<Item = &'a NodeRecord>) -> BTreeMap<RegionId, usize> {
    let mut counts = BTreeMap::new();
    for node in nodes {
        *counts.entry(node.region).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use raft::directory::NodeInfo;
    use raft::id::RequestId;
    use raft::time::Timestamp;

    use super::RegionState::{Empty, NoQuorum, Serves, Silent};
    use super::*;

    fn node(id: u64, region: u32, state: NodeState) -> (NodeId, NodeRecord) {
        let info = NodeInfo {
            name: format!("n{id}"),
            zone: String::new(),
            peer_address: String::new(),
            api_url: String::new(),
            disks: Vec::new(),
            feature_level: 1,
            version: String::new(),
        };
        (NodeId(id), NodeRecord::new(info, RegionId(region), state, Timestamp(0), RequestId([0; 16])))
    }

    fn region(id: u32) -> (RegionId, RegionRecord) {
        (RegionId(id), RegionRecord::new(format!("r{id}"), Timestamp(0), RequestId([0; 16])))
    }

    #[test]
    fn a_region_is_known_by_its_nodes() {
        let nodes = [
            node(1, 1, NodeState::Active),
            node(2, 2, NodeState::Active),
            node(3, 2, NodeState::Active),
            node(4, 3, NodeState::Active),
            node(5, 4, NodeState::Joining),
        ];
        let facts = Facts {
            regions: &[region(1), region(2), region(3), region(4)],
            primary: Some(RegionId(1)),
            own: RegionId(1),
            own_serves: true,
            nodes: &nodes,
            voters: &[NodeId(1), NodeId(2), NodeId(3)],
        };
        let live = |live: &'static [u64], ready: &'static [u64]| {
            move |node: NodeId| Answers { live: live.contains(&node.0), ready: ready.contains(&node.0) }
        };
        let states = |regions: Vec<RegionStatus>| regions.iter().map(|region| region.state).collect::<Vec<_>>();
        let found = regions(&facts, live(&[1, 3, 4], &[3, 4]));
        let [first, second, ..] = found.as_slice() else { panic!("{found:?}") };
        assert!(first.own && first.primary && !second.own && !second.primary);
        assert_eq!((second.nodes, second.live, second.directory_voters), (2, 1, 2));
        assert_eq!(states(found), [Serves, Serves, Serves, Empty]);
        // What a node said before it fell silent does not count.
        assert_eq!(states(regions(&facts, live(&[1, 2], &[3, 4]))), [Serves, NoQuorum, Silent, Empty]);
        let cut_off = Facts { own_serves: false, ..facts };
        assert_eq!(states(regions(&cut_off, live(&[1], &[1]))), [NoQuorum, Silent, Silent, Empty]);
    }
}
