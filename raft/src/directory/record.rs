//! The directory's records: cluster, regions, nodes, join tokens. Frozen by golden files.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;
use storage::shard::DiskId;

use crate::id::{NodeId, RegionId, RequestId};
use crate::time::Timestamp;

/// The cluster itself. One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Random id; also the trust domain of peer certificates.
    pub id: [u8; 16],
    /// Commands that every node of the cluster understands. Raised by an operator once all nodes are upgraded.
    pub feature_level: u32,
    /// Certificate of the cluster's CA, DER.
    pub ca_certificate: Bytes,
    /// Private key of the CA, wrapped with the cluster key that each node keeps in its data directory.
    pub wrapped_ca_key: Bytes,
    /// When it was founded.
    pub founded: Timestamp,
    /// Next node id to give out.
    pub next_node: NodeId,
    /// Next region id to give out.
    pub next_region: RegionId,
    /// Region that keeps the directory's majority where there are two of them.
    pub primary: RegionId,
    /// Since when nothing is taken away from a region that is foreign to it: from a takeover until an operator has looked.
    pub evictions_held: Option<Timestamp>,
}

/// A region. Key: id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    /// Its name, unique.
    pub name: String,
    /// When it was added.
    pub founded: Timestamp,
    /// Request that added it, so that a repetition gets the same answer.
    pub added_by: RequestId,
    /// Node that founds its catalog, or has founded it: its first one. The others join it.
    pub founder: Option<NodeId>,
    /// URL at which clients reach it, without a path.
    pub public_url: Option<String>,
    /// Bytes a second that replication may bring over each link into it; unset: as many as the link takes.
    pub inbound_bytes_per_second: Option<u64>,
}

impl RegionRecord {
    /// A region that was just added, without a node.
    #[must_use]
    pub fn new(name: String, founded: Timestamp, added_by: RequestId) -> Self {
        Self { name, founded, added_by, founder: None, public_url: None, inbound_bytes_per_second: None }
    }
}

/// What a node is allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeState {
    /// Admitted, but it has not yet said itself that it runs. It learns, and counts for nothing else.
    Joining,
    /// A full member.
    Active,
    /// Being emptied; holds no new shards.
    Draining,
    /// No longer a member; its certificate is refused. Its id is not used again.
    Removed,
}

/// One data directory, as its node says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskInfo {
    /// Its id.
    pub id: DiskId,
    /// Size of its file system.
    pub capacity_bytes: u64,
}

/// What an operator wants of a disk. How it is, heartbeats say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskState {
    /// In use.
    Active,
    /// Being emptied; holds no new shards.
    Draining,
    /// Given up: what it held is rebuilt from the other disks.
    Failed,
    /// No longer a disk of the cluster. Its id is not used again.
    Removed,
}

/// One data directory of a node, as the cluster knows it. One that its node does not name any more stays until it is
/// removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRecord {
    /// Its id.
    pub id: DiskId,
    /// Size of its file system.
    pub capacity_bytes: u64,
    /// What an operator wants of it.
    pub state: DiskState,
}

/// How a node's emptying began, so that its progress is known after any restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRecord {
    /// When.
    pub since: Timestamp,
    /// Shards that it held then.
    pub shards: u64,
    /// Bytes that they had.
    pub bytes: u64,
    /// Whether the node is to be removed once it holds nothing.
    pub leave: bool,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its name, unique, for people.
    pub name: String,
    /// Rack or room.
    pub zone: String,
    /// `host:port` at which peers reach it.
    pub peer_address: String,
    /// URL at which clients reach it.
    pub api_url: String,
    /// Its disks.
    pub disks: Vec<DiskInfo>,
    /// Highest feature level that its program understands.
    pub feature_level: u32,
    /// Version of its program.
    pub version: String,
}

/// A node. Key: id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What it says of itself.
    pub info: NodeInfo,
    /// Its region, fixed at join.
    pub region: RegionId,
    /// What it may do.
    pub state: NodeState,
    /// When it joined.
    pub joined: Timestamp,
    /// Request that admitted it, so that a repetition gets the same answer.
    pub admitted_by: RequestId,
    /// Its disks, those included that it does not name any more.
    pub disks: Vec<DiskRecord>,
    /// How its emptying began, while it is draining.
    pub drain: Option<DrainRecord>,
    /// Node whose place it was admitted to take.
    pub replaces: Option<NodeId>,
    /// Node that takes its place, since that one runs.
    pub replaced_by: Option<NodeId>,
}

impl NodeRecord {
    /// A node that was just admitted and replaces nobody.
    #[must_use]
    pub fn new(info: NodeInfo, region: RegionId, state: NodeState, joined: Timestamp, admitted_by: RequestId) -> Self {
        let mut record = Self {
            info,
            region,
            state,
            joined,
            admitted_by,
            disks: Vec::new(),
            drain: None,
            replaces: None,
            replaced_by: None,
        };
        record.take_over_disks();
        record
    }

    /// What an operator wants of one of its disks. One that the directory has not heard of yet is in use.
    #[must_use]
    pub fn disk_state(&self, id: DiskId) -> DiskState {
        self.disks.iter().find(|disk| disk.id == id).map_or(DiskState::Active, |disk| disk.state)
    }

    /// Takes over the disks that the node names now: new ones are in use, known ones keep their state.
    pub(super) fn take_over_disks(&mut self) {
        for named in &self.info.disks {
            match self.disks.iter_mut().find(|disk| disk.id == named.id) {
                Some(known) => known.capacity_bytes = named.capacity_bytes,
                None => self.disks.push(DiskRecord {
                    id: named.id,
                    capacity_bytes: named.capacity_bytes,
                    state: DiskState::Active,
                }),
            }
        }
    }
}

/// A one-time join token. Key: token id. The secret itself is never stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTokenRecord {
    /// BLAKE3 of the secret.
    pub secret_hash: [u8; 32],
    /// Not valid from this time on.
    pub expires: Timestamp,
    /// Node that used it.
    pub used_by: Option<NodeId>,
}

crate::versioned! {
    ClusterRecord = 1, "cluster record";
    RegionRecord = 1, "region record";
    NodeRecord = 1, "node record";
    JoinTokenRecord = 1, "join token record";
}
