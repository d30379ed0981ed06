//! What the members' tasks know, behind one lock, and the view that is made from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::directory::{DiskInfo, DiskState, NodeRecord, NodeState};
use raft::id::{NodeId, RegionId};
use storage::disk::{DiskHealth, Examination};
use storage::shard::DiskId;
use storage::switch;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::liveness::{Liveness, Pace};
use super::view::View;
use super::{Beat, DiskView, Member, Remote};

/// A disk that was not examined for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Whether a region is the own one: no shard goes to another one, or is taken from there.
pub(crate) fn is_own_region(own: RegionId, region: RegionId) -> bool {
    own == region || switch::broken("members.region.ignore")
}

/// One peer.
#[derive(Debug)]
pub(super) struct PeerState {
    pub(super) pace: Pace,
    pub(super) liveness: Liveness,
    /// What it last said.
    pub(super) beat: Option<Beat>,
    /// Its wall clock minus own, milliseconds.
    pub(super) clock_offset: i64,
    /// Wakes its heartbeat task.
    pub(super) probe: Arc<Notify>,
}

impl PeerState {
    fn new(pace: Pace) -> Self {
        Self { pace, liveness: Liveness::new(pace), beat: None, clock_offset: 0, probe: Arc::default() }
    }
}

/// One of the own disks.
#[derive(Clone, Copy, Debug)]
struct OwnDisk {
    capacity_bytes: u64,
    available_bytes: u64,
    examined: Instant,
    health: DiskHealth,
}

/// What is known.
#[derive(Debug)]
pub(super) struct State {
    own: NodeId,
    region: RegionId,
    /// Nodes that were not removed, as the directory has them.
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
    /// Whether they are what a quorum confirmed at some time since this node started: before, they may be those of long
    /// ago.
    pub(super) confirmed: bool,
    /// Nodes that were removed.
    removed: BTreeSet<NodeId>,
    /// All of `nodes` but this one.
    pub(super) peers: BTreeMap<NodeId, PeerState>,
    own_disks: BTreeMap<DiskId, OwnDisk>,
}

impl State {
    pub(super) fn new(own: NodeId, region: RegionId) -> Self {
        Self {
            own,
            region,
            nodes: BTreeMap::new(),
            confirmed: false,
            removed: BTreeSet::new(),
            peers: BTreeMap::new(),
            own_disks: BTreeMap::new(),
        }
    }

    /// Takes over the directory's nodes; peers that are new are not live yet.
    pub(super) fn set_nodes(&mut self, nodes: Vec<(NodeId, NodeRecord)>) {
        let (removed, nodes): (BTreeMap<_, _>, BTreeMap<_, _>) =
            nodes.into_iter().partition(|(_, record)| record.state == NodeState::Removed);
        self.removed = removed.into_keys().collect();
        self.nodes = nodes;
        let (own, nodes) = (self.own, &self.nodes);
        self.peers.retain(|node, _| nodes.contains_key(node));
        for (node, record) in nodes.iter().filter(|(node, _)| **node != own) {
            let pace = if record.region == self.region { Pace::NEAR } else { Pace::FAR };
            self.peers.entry(*node).or_insert_with(|| PeerState::new(pace));
        }
    }

    /// Nodes that have not said yet that they run. They count for nothing.
    fn is_joining(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|record| record.state == NodeState::Joining)
    }

    /// Whether this node is the only one of its region: by a confirmed directory, and by the catalog's own membership.
    pub(super) fn is_sole(&self, catalog_members: &BTreeSet<NodeId>) -> bool {
        let known = |node: &&NodeId| self.nodes.get(node).is_some_and(|record| record.region == self.region);
        let registered = self.nodes.keys().filter(known).filter(|node| !self.is_joining(**node));
        self.confirmed
            && registered.eq([&self.own])
            && catalog_members.iter().filter(|node| !self.is_joining(**node)).eq([&self.own])
    }

    /// A disk of this node was examined.
    pub(super) fn set_disk(&mut self, disk: DiskId, found: Examination, now: Instant) {
        let known = self.own_disks.get(&disk).map(|known| (known.capacity_bytes, known.available_bytes));
        let told = found.space.map(|space| (space.capacity_bytes, space.available_bytes));
        let (capacity_bytes, available_bytes) = told.or(known).unwrap_or_default();
        let own = OwnDisk { capacity_bytes, available_bytes, examined: now, health: found.health };
        self.own_disks.insert(disk, own);
    }

    /// Forgets disks that this node has no more.
    pub(super) fn retain_disks(&mut self, ids: &BTreeSet<DiskId>) {
        self.own_disks.retain(|id, _| ids.contains(id));
    }

    /// The disks of this node.
    pub(super) fn own_disks(&self, now: Instant) -> Vec<DiskView> {
        let view = |(id, disk): (&DiskId, &OwnDisk)| {
            let stuck = now.saturating_duration_since(disk.examined) >= STUCK_AFTER;
            let health = if stuck { DiskHealth::Stuck } else { disk.health };
            DiskView {
                id: *id,
                capacity_bytes: disk.capacity_bytes,
                available_bytes: disk.available_bytes,
                writable: health.takes_shards(),
                health,
            }
        };
        self.own_disks.iter().map(view).collect()
    }

    /// The view of this moment. `version` and `applied` are this node's.
    pub(super) fn view(&self, own: &Beat, now: Instant) -> View {
        let mut live: BTreeSet<NodeId> =
            self.peers.iter().filter(|(_, peer)| peer.liveness.is_live(now)).map(|(node, _)| *node).collect();
        let clock_offsets = live.iter().filter_map(|node| Some((*node, self.peers.get(node)?.clock_offset))).collect();
        live.insert(self.own);
        let members = self
            .nodes
            .iter()
            .filter(|(_, record)| is_own_region(self.region, record.region))
            .filter(|(_, record)| record.state != NodeState::Joining)
            .map(|(node, record)| {
                let peer = self.peers.get(node).and_then(|peer| peer.beat.as_ref());
                let beat = if *node == self.own { Some(own) } else { peer };
                member(*node, record, beat, live.contains(node))
            })
            .collect();
        let remotes = self.remotes(&live);
        let regions = self.nodes.iter().map(|(node, record)| (*node, record.region)).collect();
        let (confirmed, removed) = (self.confirmed, self.removed.clone());
        View { members, remotes, confirmed, live, regions, removed, clock_offsets }
    }

    /// The nodes of other regions.
    fn remotes(&self, live: &BTreeSet<NodeId>) -> Vec<Remote> {
        let remote = |(node, record): (&NodeId, &NodeRecord)| Remote {
            id: *node,
            name: record.info.name.clone(),
            region: record.region,
            zone: record.info.zone.clone(),
            api_url: record.info.api_url.clone(),
            live: live.contains(node),
            ready: self.peers.get(node).and_then(|peer| peer.beat.as_ref()).is_some_and(|beat| beat.ready),
        };
        let others = self.nodes.iter().filter(|(_, record)| record.region != self.region);
        others.filter(|(_, record)| record.state != NodeState::Joining).map(remote).collect()
    }
}

/// One member, from what the directory and the node itself say.
fn member(id: NodeId, record: &NodeRecord, beat: Option<&Beat>, live: bool) -> Member {
    let draining = record.state == NodeState::Draining;
    let recorded = |disk: &DiskInfo| DiskView {
        id: disk.id,
        capacity_bytes: disk.capacity_bytes,
        available_bytes: 0,
        writable: false,
        // It was never heard from, which says nothing about what it holds.
        health: DiskHealth::Stuck,
    };
    let mut disks: Vec<DiskView> =
        beat.map_or_else(|| record.info.disks.iter().map(recorded).collect(), |beat| beat.disks.clone());
    disks.sort_by_key(|disk| disk.id);
    for disk in &mut disks {
        disk.writable &= !draining && record.disk_state(disk.id) == DiskState::Active;
    }
    Member {
        id,
        name: record.info.name.clone(),
        zone: record.info.zone.clone(),
        address: record.info.peer_address.clone(),
        api_url: record.info.api_url.clone(),
        live,
        draining,
        replaced_by: record.replaced_by,
        disks,
        disk_states: record.disks.iter().map(|disk| (disk.id, disk.state)).collect(),
        version: beat.map_or_else(|| record.info.version.clone(), |beat| beat.version.clone()),
        applied: beat.map(|beat| beat.applied.clone()).unwrap_or_default(),
        serves_clients: beat.is_some_and(|beat| beat.serves_clients),
    }
}
