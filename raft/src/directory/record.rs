//! The directory's records: cluster, regions, nodes, join tokens, namespaces. Frozen by golden files.

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
}

/// A region. Key: id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    /// Its name, unique.
    pub name: String,
    /// When it was founded.
    pub founded: Timestamp,
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

/// One data directory of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRecord {
    /// Its id.
    pub id: DiskId,
    /// Size of its file system.
    pub capacity_bytes: u64,
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
    pub disks: Vec<DiskRecord>,
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

/// Where data of a namespace may rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Residency {
    /// In its home region, readable from elsewhere.
    Home,
    /// Only in its home region.
    Pinned,
    /// In its home region, with copies in these.
    Replicated(Vec<RegionId>),
}

/// A namespace with its policy. Key: prefix, empty for the root. Unset fields inherit from the next shorter prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRecord {
    /// Region whose catalog owns it.
    pub home: Option<RegionId>,
    /// Where its data may rest.
    pub residency: Option<Residency>,
}

crate::versioned! {
    ClusterRecord = 1, "cluster record";
    RegionRecord = 1, "region record";
    NodeRecord = 1, "node record";
    JoinTokenRecord = 1, "join token record";
    NamespaceRecord = 1, "namespace record";
}
