//! The nodes of the world: who is registered, who lives, what operators want of them and how their disks are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft::id::NodeId;
use storage::shard::DiskId;

use super::world::World;
use crate::environment::BoxFuture;
use crate::gateway::holders::Roster;
use crate::gateway::placement::{Candidate, CandidateDisk, Holder, HolderDisk, Standing, Survey};
use crate::members::Clients;

/// Size of every disk, unless another one is set.
pub(super) const DISK_BYTES: u64 = 1 << 40;

/// What operators want, and how disks are.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) draining: BTreeSet<NodeId>,
    pub(super) standings: BTreeMap<DiskId, Standing>,
    pub(super) ailing: BTreeSet<DiskId>,
    pub(super) capacities: BTreeMap<DiskId, u64>,
    pub(super) unconfirmed: bool,
}

impl World {
    /// The node is to be emptied.
    pub(super) fn drain(&self, node: u64) {
        self.state().wishes.draining.insert(NodeId(node));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The node is not to be emptied after all.
    pub(super) fn undrain(&self, node: u64) {
        self.state().wishes.draining.remove(&NodeId(node));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// What a disk is good for.
    pub(super) fn set_standing(&self, node: u64, disk: usize, standing: Standing) {
        let disk = self.disk(node, disk);
        self.state().wishes.standings.insert(disk, standing);
    }

    /// The disk fails, as its node says: nothing can be written to it.
    pub(super) fn break_disk(&self, node: u64, disk: usize) {
        let disk = self.disk(node, disk);
        self.state().wishes.ailing.insert(disk);
    }

    /// Size of every disk.
    pub(super) fn set_capacities(&self, capacity_bytes: u64) {
        let disks: Vec<DiskId> = self.nodes().into_iter().flat_map(|(_, disks)| disks).collect();
        self.state().wishes.capacities.extend(disks.into_iter().map(|disk| (disk, capacity_bytes)));
    }

    /// A disk of a node.
    pub(super) fn disk(&self, node: u64, disk: usize) -> DiskId {
        self.nodes().iter().find(|(id, _)| *id == NodeId(node)).unwrap().1[disk]
    }
}

/// The world as one node sees it.
#[derive(Debug)]
pub(super) struct OnNode {
    world: Arc<World>,
    own: NodeId,
}

impl OnNode {
    pub(super) fn new(world: &Arc<World>, own: NodeId) -> Self {
        Self { world: Arc::clone(world), own }
    }
}

impl Roster for OnNode {
    fn own(&self) -> NodeId {
        self.own
    }

    fn candidates(&self) -> Vec<Candidate> {
        let holders = self.survey().holders.into_values().filter(|holder| !holder.draining);
        let disk = |disk: &HolderDisk| CandidateDisk {
            id: disk.id,
            available_bytes: disk.available_bytes,
            writable: disk.writable,
        };
        let candidate = |holder: Holder| Candidate {
            node: holder.node,
            disks: holder.disks.iter().map(disk).collect(),
            zone: holder.zone,
            live: holder.live,
        };
        holders.map(candidate).collect()
    }

    fn survey(&self) -> Survey {
        let nodes = self.world.nodes();
        let state = self.world.state();
        let wishes = &state.wishes;
        let disk = |id: &DiskId| {
            let standing = wishes.standings.get(id).copied().unwrap_or(Standing::Serving);
            let ailing = wishes.ailing.contains(id);
            HolderDisk {
                id: *id,
                capacity_bytes: wishes.capacities.get(id).copied().unwrap_or(DISK_BYTES),
                available_bytes: DISK_BYTES,
                writable: standing == Standing::Serving && !ailing,
                standing,
                ailing,
            }
        };
        let holder = |(node, disks): &(NodeId, Vec<DiskId>)| Holder {
            node: *node,
            zone: "one".to_owned(),
            live: state.live.contains(node),
            draining: wishes.draining.contains(node),
            disks: disks.iter().map(disk).collect(),
        };
        let holders = nodes.iter().map(|node| (node.0, holder(node))).collect();
        Survey { confirmed: !wishes.unconfirmed, sole: nodes.len() == 1, holders }
    }

    fn clients(&self) -> &Clients {
        &self.world.clients
    }

    fn clients_are_served(&self) -> bool {
        self.world.clients.are_served()
    }

    fn is_sole(&self) -> bool {
        self.world.nodes().len() == 1
    }

    fn is_live(&self, node: NodeId) -> bool {
        self.world.state().live.contains(&node)
    }

    fn is_registered(&self, node: NodeId) -> bool {
        self.world.nodes().iter().any(|(id, _)| *id == node)
    }

    fn all_live(&self) -> bool {
        self.world.nodes().len() == self.world.state().live.len()
    }

    fn report_failure(&self, _node: NodeId) {
        self.world.changes.send_modify(|changes| *changes += 1);
    }

    fn died(&self, node: NodeId) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut changes = self.world.changes.subscribe();
            while self.is_live(node) {
                changes.changed().await.unwrap();
            }
        })
    }
}
