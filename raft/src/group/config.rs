//! openraft's types as this project fills them in, and its configuration.
//!
//! Commands and responses are bytes here: openraft, the log and the network never need to know which machine they
//! belong to.

use std::fmt;

use bytes::Bytes;
use openraft::{BasicNode, SnapshotPolicy, StepDownPolicy};
use serde::{Deserialize, Serialize};

use super::error::GroupError;
use super::options::GroupOptions;
use super::runtime::Runtime;
use crate::machine::Stamp;

/// A proposed command: its stamp and its encoding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// When and by which request.
    pub stamp: Stamp,
    /// The machine's command, encoded.
    pub command: Bytes,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proposal({} bytes at {})", self.command.len(), self.stamp.time.0)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// The machine's response, encoded. Empty for entries that are no commands.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer(pub Bytes);

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Answer({} bytes)", self.0.len())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

openraft::declare_raft_types!(
    /// The one configuration of types, for all groups.
    pub Types:
        D = Proposal,
        R = Answer,
        NodeId = u64,
        Node = BasicNode,
        AsyncRuntime = Runtime,
);

// Spelled out, not projected from `Types`: conversions are implemented for them.
pub(super) type LeaderId = openraft::vote::leader_id_adv::LeaderId<u64, u64>;
pub(super) type LogId = openraft::LogId<LeaderId>;
pub(super) type Vote = openraft::vote::Vote<LeaderId>;
pub(super) type Payload = openraft::EntryPayload<Proposal, u64, BasicNode>;
pub(super) type Entry = openraft::Entry<LeaderId, Payload>;
pub(super) type Membership = openraft::Membership<u64, BasicNode>;
pub(super) type StoredMembership = openraft::StoredMembership<LeaderId, u64, BasicNode>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<LeaderId, u64, BasicNode>;

/// openraft's configuration for a group.
pub(super) fn raft_config(options: &GroupOptions) -> Result<openraft::Config, GroupError> {
    let milliseconds = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let election_max = milliseconds(options.timing.election_max);
    let config = openraft::Config {
        cluster_name: options.id.to_string(),
        heartbeat_interval: milliseconds(options.timing.heartbeat),
        election_timeout_min: milliseconds(options.timing.election_min),
        election_timeout_max: election_max,
        enable_pre_vote: Some(true),
        // A leader that resumes its term after a restart answers reads from the first entry of that term on, although
        // it does not know yet how much of the term was committed: acknowledged writes would be missing.
        enable_leader_restore: Some(false),
        // Bounds the count only; bytes are bounded where the log is read.
        max_payload_entries: 1024,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_after_entries),
        // A follower that was away for a short time is served from the log; longer, by a snapshot.
        max_in_snapshot_log_to_keep: options.snapshot_after_entries / 4,
        replication_lag_threshold: options.snapshot_after_entries.saturating_mul(2),
        purge_batch_size: (options.snapshot_after_entries / 8).max(1),
        removed_leader_step_down: StepDownPolicy::After(milliseconds(options.timing.heartbeat)),
        backoff: "100ms 200ms 400ms ..2000ms".to_owned(),
        ..openraft::Config::default()
    };
    config.validate().map_err(|error| GroupError::Options { group: options.id, message: error.to_string() })
}
