//! What the local socket says and takes, as JSON. Shared with the command line; fields are only ever added.

use serde::{Deserialize, Serialize};

/// Version of these types.
pub const VERSION: u32 = 1;

/// How the cluster is, as one node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this form.
    pub version: u32,
    /// The cluster's id, hexadecimal.
    pub cluster: String,
    /// Node that answers.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Its region's name; its id while the name is not known.
    pub region: String,
    /// Whether this is confirmed by the region's quorum. Otherwise it is only what this node knows.
    pub confirmed: bool,
    /// In one word.
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    /// What there is to know or to do, most important first, in sentences.
    pub findings: Vec<String>,
    /// Feature level of the cluster.
    pub feature_level: u32,
    /// Nodes by id, removed ones left out.
    pub nodes: Vec<NodeStatus>,
    /// Names of all regions.
    pub regions: Vec<String>,
    /// Groups that this node has a replica of.
    pub groups: Vec<GroupStatus>,
    /// Extents below their redundancy in this region.
    pub under_replicated: u64,
    /// Totals of this region's catalog.
    pub totals: Totals,
}

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All is as it should be.
    Healthy,
    /// It serves, but somebody should look.
    NeedsAttention,
    /// It does not take pushes, or not all of them.
    NotServing,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its region's name.
    pub region: String,
    /// Its zone.
    pub zone: String,
    /// Whether it answers.
    pub live: bool,
    /// What it may do: `joining`, `active` or `draining`.
    pub state: String,
    /// Version of its program.
    pub version: String,
    /// URL at which clients reach it.
    pub api_url: String,
    /// Address at which peers reach it.
    pub peer_address: String,
    /// Its disks; without figures while they are not known.
    pub disks: Vec<DiskStatus>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Its id.
    pub id: String,
    /// Size of its file system.
    pub capacity_bytes: u64,
    /// What can still be written, above the reserve. `None` while it is not known.
    pub available_bytes: Option<u64>,
    /// Whether it takes writes. `None` while it is not known.
    pub writable: Option<bool>,
}

/// One Raft group, as this node's replica sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// `directory` or `catalog-<region>`.
    pub name: String,
    /// Name of the leader, if there is one.
    pub leader: Option<String>,
    /// Term.
    pub term: u64,
    /// Entries that this replica has applied.
    pub applied: u64,
    /// Names of the voters.
    pub voters: Vec<String>,
    /// Voters that it is to have with the nodes there are.
    pub seats: u64,
    /// Names of the voters that answer.
    pub live_voters: Vec<String>,
    /// Names of the learners.
    pub learners: Vec<String>,
    /// Entries that each member is behind, by name. Only the leader knows.
    pub lag: Vec<(String, u64)>,
    /// Whether a quorum of the voters answers.
    pub quorum: bool,
}

/// Totals of a region's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Repositories.
    pub repositories: u64,
    /// Manifests, once per repository.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of blobs.
    pub blob_bytes: u64,
    /// Open upload sessions.
    pub uploads: u64,
}

/// Asks for a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Seconds until it expires.
    pub lifetime_seconds: u64,
}

/// A join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// Version of this form.
    pub version: u32,
    /// The token: a secret.
    pub token: String,
    /// Peer addresses at which a machine may join; live nodes, this one first.
    pub addresses: Vec<String>,
    /// Seconds until it expires.
    pub lifetime_seconds: u64,
}

/// One key of the configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEntry {
    /// Its name.
    pub key: String,
    /// Its value, as TOML.
    pub value: String,
    /// Its default, as TOML.
    pub default: String,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigAnswer {
    /// Version of this form.
    pub version: u32,
    /// All keys.
    pub keys: Vec<ConfigEntry>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// Version of this form.
    pub version: u32,
    /// For people.
    pub error: String,
}
