//! The members as everyone else sees them: a snapshot that is replaced as a whole.

use std::collections::{BTreeMap, BTreeSet};

use raft::directory::DiskState;
use raft::id::{GroupId, NodeId, RegionId};
use storage::shard::DiskId;

use super::DiskView;

/// A node of the own region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Its rack or room.
    pub zone: String,
    /// `host:port` for peers.
    pub address: String,
    /// URL for clients.
    pub api_url: String,
    /// Whether it answers. This node itself is always live.
    pub live: bool,
    /// Whether it is being emptied: it gets no new shards.
    pub draining: bool,
    /// Node that takes its place, if it is being replaced.
    pub replaced_by: Option<NodeId>,
    /// Its disks, by id. None is writable on a node that is draining or was never heard from, nor one that an operator
    /// has taken out of use.
    pub disks: Vec<DiskView>,
    /// What operators want of its disks, also of those that it does not name any more.
    pub disk_states: BTreeMap<DiskId, DiskState>,
    /// Version of its program, as it last said.
    pub version: String,
    /// Applied index of its groups, as it last said.
    pub applied: BTreeMap<GroupId, u64>,
    /// Whether it serves blobs to clients, as it last said.
    pub serves_clients: bool,
}

impl Member {
    /// Whether new shards may be placed on it.
    #[must_use]
    pub fn takes_shards(&self) -> bool {
        self.live && !self.draining && self.disks.iter().any(|disk| disk.writable)
    }

    /// What an operator wants of one of its disks.
    #[must_use]
    pub fn disk_state(&self, id: DiskId) -> DiskState {
        self.disk_states.get(&id).copied().unwrap_or(DiskState::Active)
    }

    /// One of its disks.
    #[must_use]
    pub fn disk(&self, id: DiskId) -> Option<&DiskView> {
        self.disks.iter().find(|disk| disk.id == id)
    }
}

/// A node of another region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its id.
    pub id: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Its region.
    pub region: RegionId,
    /// Its rack or room.
    pub zone: String,
    /// URL for clients.
    pub api_url: String,
    /// Whether it answers.
    pub live: bool,
    /// Whether it serves, as it last said: its region's catalog has a quorum.
    pub ready: bool,
}

/// Everything known at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Members of the own region, by id.
    pub(super) members: Vec<Member>,
    /// Nodes of other regions that have shown that they run, by id.
    pub(super) remotes: Vec<Remote>,
    /// Whether a quorum has confirmed the directory since this node started.
    pub(super) confirmed: bool,
    /// Live nodes of the whole cluster, this one included.
    pub(super) live: BTreeSet<NodeId>,
    /// Region of each node of the whole cluster, removed ones left out.
    pub(super) regions: BTreeMap<NodeId, RegionId>,
    /// Nodes of the whole cluster that were removed.
    pub(super) removed: BTreeSet<NodeId>,
    /// Peer's wall clock minus own, milliseconds, of live peers.
    pub(super) clock_offsets: BTreeMap<NodeId, i64>,
}

impl View {
    /// Whether something changed that a decision may hang on: not free space, progress or clocks.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let same = |(one, two): (&Member, &Member)| {
            let disks = one.disks.len() == two.disks.len()
                && one
                    .disks
                    .iter()
                    .zip(&two.disks)
                    .all(|(one, two)| (one.id, one.writable, one.health) == (two.id, two.writable, two.health));
            disks
                && (one.id, one.live, one.draining) == (two.id, two.live, two.draining)
                && (one.replaced_by, &one.disk_states) == (two.replaced_by, &two.disk_states)
                && (&one.name, &one.zone, &one.address) == (&two.name, &two.zone, &two.address)
                && (&one.api_url, &one.version) == (&two.api_url, &two.version)
        };
        self.live != other.live
            || self.removed != other.removed
            || self.remotes != other.remotes
            || self.confirmed != other.confirmed
            || self.members.len() != other.members.len()
            || !self.members.iter().zip(&other.members).all(same)
    }
}
