//! What a group is opened with: its name and limits, and the resources it works on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storage::disk::Files;
use storage::exec::Exec;
use storage::kv::Engines;

use super::log_store::LogStore;
use super::transport::Transport;
use super::witness::{Observer, Replica, Witness};
use crate::id::{GroupId, NodeId};
use crate::time::Clock;

/// Pace of heartbeats and elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower stands for election.
    pub election_min: Duration,
    /// Longest such silence, and the length of a leader's lease.
    pub election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_secs(1),
            election_max: Duration::from_secs(2),
        }
    }
}

/// Entries after which a snapshot is taken, by default.
pub const SNAPSHOT_AFTER_ENTRIES: u64 = 20_000;

/// Bytes of entries in one append, by default. One entry is always sent, whatever its size.
pub const MAX_APPEND_BYTES: u64 = 8 << 20;

/// What one group is.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The group.
    pub id: GroupId,
    /// This node, the id of its replica.
    pub node: NodeId,
    /// Where peers reach this node; recorded in the membership by [`Group::initialize`](super::Group::initialize).
    pub address: String,
    /// Directory of the group's state and snapshots; created when missing, used by nothing else.
    pub directory: PathBuf,
    /// Pace of heartbeats and elections.
    pub timing: Timing,
    /// Applied entries after which a snapshot is taken and the log purged.
    pub snapshot_after_entries: u64,
    /// Bytes of entries in one append.
    pub max_append_bytes: u64,
}

impl GroupOptions {
    /// A group with default pace and limits.
    #[must_use]
    pub fn new(id: GroupId, node: NodeId, address: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Self {
            id,
            node,
            address: address.into(),
            directory: directory.into(),
            timing: Timing::default(),
            snapshot_after_entries: SNAPSHOT_AFTER_ENTRIES,
            max_append_bytes: MAX_APPEND_BYTES,
        }
    }
}

/// What a group works on, shared by all groups of a node.
#[derive(Clone, Debug)]
pub struct GroupResources {
    /// The log of all groups.
    pub log: Arc<LogStore>,
    /// Opens the group's state.
    pub engines: Arc<dyn Engines>,
    /// Files of state directories and snapshots.
    pub files: Arc<dyn Files>,
    /// Where blocking work runs.
    pub exec: Exec,
    /// Stamps commands while this node leads.
    pub clock: Arc<dyn Clock>,
    /// The way to peers.
    pub transport: Arc<dyn Transport>,
    /// Who looks on, if anybody: the simulator's judges.
    pub witness: Option<Arc<dyn Witness>>,
}

impl GroupResources {
    /// The witness of one replica.
    pub(super) fn observer(&self, options: &GroupOptions) -> Option<Observer> {
        let replica = Replica { group: options.id, node: options.node };
        self.witness.clone().map(|witness| Observer { witness, replica })
    }
}
