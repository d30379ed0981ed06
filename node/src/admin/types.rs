//! What the local socket says and takes, as JSON. Shared with the command line; fields are only ever added.

use raft::directory::DiskState;
use serde::{Deserialize, Serialize};

use super::region_types::{DirectoryReading, RegionStatus};
use super::replication_types::CopyStatus;
use crate::background::Overview;

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
    /// How sure it is what is said of nodes and regions.
    pub directory: DirectoryReading,
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
    /// All regions, by id.
    pub regions: Vec<RegionStatus>,
    /// Groups that this node has a replica of.
    pub groups: Vec<GroupStatus>,
    /// Extents below their redundancy in this region.
    pub under_replicated: u64,
    /// Those of them of which too much is lost to read them.
    pub lost: u64,
    /// Copies in this region of namespaces whose home is another one, those that lack most first, at most a hundred.
    #[serde(default)]
    pub copies: Vec<CopyStatus>,
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
    /// Its disks; without figures while they are not known. None of a node of another region.
    pub disks: Vec<DiskStatus>,
    /// Shards that it is to hold. Known of the own region's nodes.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How far its emptying has come, while it is being emptied.
    pub drain: Option<DrainStatus>,
    /// Node that takes its place.
    pub replaced_by: Option<u64>,
}

/// How far a node's emptying has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// Whether the node is removed once it holds nothing.
    pub leaves: bool,
    /// Seconds since it began.
    pub seconds: u64,
    /// Bytes that are elsewhere by now.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
    /// Bytes moved in each second of late.
    pub bytes_per_second: u64,
    /// Seconds until it holds nothing, at that rate. `None` while it stands still.
    pub eta_seconds: Option<u64>,
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
    /// What an operator wants of it: `active`, `draining`, `failed` (given up) or `removed`.
    pub state: String,
    /// How its node says it is, in one word. `None` while it is not known.
    pub health: Option<String>,
    /// What to do about its health; empty when there is nothing to do.
    pub advice: String,
    /// Shards that it is to hold. Known of the own region's disks.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An operator's wish in one word.
#[must_use]
pub const fn disk_state(state: DiskState) -> &'static str {
    match state {
        DiskState::Active => "active",
        DiskState::Draining => "draining",
        DiskState::Failed => "failed",
        DiskState::Removed => "removed",
    }
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
    /// Regions, whichever they are, without which there is still a quorum. `None` in one region, and of a catalog.
    pub regions_borne: Option<u64>,
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

/// What the background work has before it, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkAnswer {
    /// Version of this form.
    pub version: u32,
    /// The work.
    #[serde(flatten)]
    pub work: Overview,
}

/// Asks something of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRequest {
    /// Its name or id; the node that is asked if it is left out.
    pub node: Option<String>,
    /// `leave` only: now, whatever it holds.
    #[serde(default)]
    pub force: bool,
}

/// What became of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartingAnswer {
    /// Version of this form.
    pub version: u32,
    /// Its id.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// What it may do now: `active`, `draining` or `removed`.
    pub state: String,
    /// Shards that it holds.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was lost, if it was removed by force.
    pub loss: Option<LossAnswer>,
}

/// Bytes that cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossAnswer {
    /// Extents.
    pub extents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether there may be more.
    pub at_least: bool,
}

/// What is wanted of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WishedDisk {
    /// Use it (again).
    Use,
    /// Empty it.
    Drain,
    /// It is dead.
    GiveUp,
    /// It holds nothing and goes.
    Remove,
}

/// Asks something of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskWishRequest {
    /// Name or id of its node; the node that is asked if it is left out.
    pub node: Option<String>,
    /// Its id or the beginning of it.
    pub disk: String,
    /// What is wanted.
    pub wish: WishedDisk,
}

/// What became of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskWishAnswer {
    /// Version of this form.
    pub version: u32,
    /// Its id.
    pub disk: String,
    /// `active`, `draining`, `failed` or `removed`.
    pub state: String,
}

/// Asks for a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Seconds until it expires.
    pub lifetime_seconds: u64,
    /// Name of the region that the machine is to join; that of the node that answers if it is left out.
    #[serde(default)]
    pub region: Option<String>,
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
    /// Name of the region to join, where there are several.
    pub region: Option<String>,
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
