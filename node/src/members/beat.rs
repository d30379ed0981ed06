//! What a node says of itself in a heartbeat.

use std::collections::BTreeMap;

use raft::id::{GroupId, NodeId};
use raft::time::Timestamp;
use storage::disk::DiskHealth;
use storage::shard::DiskId;

/// One disk as its node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskView {
    /// Its id.
    pub id: DiskId,
    /// Size of its file system.
    pub capacity_bytes: u64,
    /// What shards can still use: free space above the reserve.
    pub available_bytes: u64,
    /// Whether it takes new shards: it is healthy, and nobody wants it emptied.
    pub writable: bool,
    /// How it is.
    pub health: DiskHealth,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The node.
    pub node: NodeId,
    /// Version of its program.
    pub version: String,
    /// Its wall clock.
    pub clock: Timestamp,
    /// Its disks.
    pub disks: Vec<DiskView>,
    /// Applied index of each of its groups.
    pub applied: BTreeMap<GroupId, u64>,
    /// Whether it serves blobs to clients, or did a moment ago.
    pub serves_clients: bool,
    /// Whether it takes requests: its region's catalog has a quorum, as far as it knows.
    pub ready: bool,
}
