//! Who is to be removed from the cluster, and which disks: a pure function from what the directory and the catalog say.
//!
//! Nothing is kept in mind over a restart: a node that is to leave is marked so in the directory, and what it still
//! holds is counted by the catalog. So whichever node leads goes on where another one stopped.

use std::time::Duration;

use raft::directory::{DiskState, NodeRecord, NodeState};
use raft::id::NodeId;
use storage::shard::DiskId;

/// A node has to hold nothing for so long before it goes: a push that chose it before it was emptied has ended by then.
pub(super) const EMPTY_FOR: Duration = Duration::from_secs(10);
/// A node that is being replaced is taken for dead after so long a silence.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(15);

/// A node of the region as it stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The node.
    pub node: NodeId,
    /// What the directory says of it.
    pub record: NodeRecord,
    /// How long it has not answered. `None` while it does.
    pub silent: Option<Duration>,
    /// How long the catalog has placed nothing on it. `None` while it does.
    pub empty: Option<Duration>,
    /// Its disks on which the catalog places something.
    pub used_disks: Vec<DiskId>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A node that is to leave holds nothing any more.
    Emptied(NodeId),
    /// A node is dead, and its successor runs.
    Replaced {
        /// The dead node.
        node: NodeId,
        /// Who takes its place.
        by: NodeId,
    },
    /// A disk that was given up holds nothing any more.
    Disk(NodeId, DiskId),
}

/// The next removal; `None` when nobody is to go.
#[must_use]
pub fn next(nodes: &[Standing]) -> Option<Removal> {
    let emptied = nodes.iter().find(|one| {
        let leaves =
            one.record.state == NodeState::Draining && one.record.drain.as_ref().is_some_and(|drain| drain.leave);
        leaves && one.empty.is_some_and(|empty| empty >= EMPTY_FOR)
    });
    if let Some(one) = emptied {
        return Some(Removal::Emptied(one.node));
    }
    nodes.iter().find_map(|one| replaced(one, nodes)).or_else(|| nodes.iter().find_map(disk))
}

/// A dead node goes at once when its successor runs. Not while a third one is silent too: what that one holds may be
/// needed together with what the dead one holds, should it come back after all.
fn replaced(one: &Standing, nodes: &[Standing]) -> Option<Removal> {
    let by = one.record.replaced_by.filter(|_| one.record.state == NodeState::Draining)?;
    let dead = one.silent.is_some_and(|silent| silent >= DEAD_AFTER);
    let counts = |other: &&Standing| matches!(other.record.state, NodeState::Active | NodeState::Draining);
    let mut others = nodes.iter().filter(|other| other.node != one.node).filter(counts);
    let all_answer = others.clone().all(|other| other.silent.is_none());
    let runs = others.any(|other| other.node == by && other.record.state == NodeState::Active);
    (dead && all_answer && runs).then_some(Removal::Replaced { node: one.node, by })
}

fn disk(one: &Standing) -> Option<Removal> {
    if one.record.state == NodeState::Removed {
        return None;
    }
    let given_up = one.record.disks.iter().filter(|disk| disk.state == DiskState::Failed);
    let mut empty = given_up.filter(|disk| !one.used_disks.contains(&disk.id));
    empty.next().map(|disk| Removal::Disk(one.node, disk.id))
}

#[cfg(test)]
mod tests {
    use raft::directory::{DiskInfo, DrainRecord, NodeInfo};
    use raft::id::{RegionId, RequestId};
    use raft::time::Timestamp;

    use super::*;

    const DISK: DiskId = DiskId([1; 16]);

    fn standing(node: u64, state: NodeState) -> Standing {
        let info = NodeInfo {
            name: format!("n{node}"),
            zone: String::new(),
            peer_address: format!("n{node}:7000"),
            api_url: String::new(),
            disks: vec![DiskInfo { id: DISK, capacity_bytes: 1 }],
            feature_level: 1,
            version: String::new(),
        };
        let record = NodeRecord::new(info, RegionId(1), state, Timestamp(0), RequestId([0; 16]));
        Standing { node: NodeId(node), record, silent: None, empty: None, used_disks: vec![DISK] }
    }

    fn leaving(node: u64, leave: bool) -> Standing {
        let mut one = standing(node, NodeState::Draining);
        one.record.drain = Some(DrainRecord { since: Timestamp(0), shards: 0, bytes: 0, leave });
        one
    }

    fn cluster() -> Vec<Standing> {
        vec![standing(1, NodeState::Active), standing(2, NodeState::Active)]
    }

    #[test]
    fn a_leaving_node_goes_once_it_has_held_nothing_for_a_while() {
        let mut nodes = cluster();
        nodes.push(leaving(3, true));
        assert_eq!(next(&nodes), None);
        nodes[2].empty = Some(EMPTY_FOR / 2);
        assert_eq!(next(&nodes), None);
        nodes[2].empty = Some(EMPTY_FOR);
        assert_eq!(next(&nodes), Some(Removal::Emptied(NodeId(3))));
        nodes[2].record.drain = leaving(3, false).record.drain;
        assert_eq!(next(&nodes), None, "it is drained only");
        nodes[0].empty = Some(EMPTY_FOR);
        assert_eq!(next(&nodes), None, "an active node may well be empty");
    }

    #[test]
    fn a_replaced_node_goes_at_once_when_it_is_dead() {
        let mut nodes = cluster();
        nodes.push(leaving(3, true));
        nodes.push(standing(4, NodeState::Active));
        nodes[2].record.replaced_by = Some(NodeId(4));
        assert_eq!(next(&nodes), None, "it lives: its shards are moved first");
        nodes[2].silent = Some(DEAD_AFTER / 2);
        assert_eq!(next(&nodes), None);
        nodes[2].silent = Some(DEAD_AFTER);
        assert_eq!(next(&nodes), Some(Removal::Replaced { node: NodeId(3), by: NodeId(4) }));
        nodes[0].silent = Some(Duration::ZERO);
        assert_eq!(next(&nodes), None, "another one is silent too");
        nodes[0].silent = None;
        nodes[3].record.state = NodeState::Removed;
        assert_eq!(next(&nodes), None, "the successor is gone itself");
    }

    #[test]
    fn a_dead_node_that_nobody_replaces_stays() {
        let mut nodes = cluster();
        nodes.push(leaving(3, true));
        nodes[2].silent = Some(DEAD_AFTER * 100);
        assert_eq!(next(&nodes), None);
    }

    #[test]
    fn a_disk_that_was_given_up_goes_once_nothing_is_placed_on_it() {
        let mut nodes = cluster();
        nodes[1].record.disks[0].state = DiskState::Failed;
        assert_eq!(next(&nodes), None);
        nodes[1].used_disks.clear();
        assert_eq!(next(&nodes), Some(Removal::Disk(NodeId(2), DISK)));
        nodes[1].record.disks[0].state = DiskState::Draining;
        assert_eq!(next(&nodes), None, "an operator takes it out");
    }
}
