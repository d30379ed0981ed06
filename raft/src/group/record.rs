//! The encodings of Raft's own things: log entries, votes, memberships, snapshot metadata.
//!
//! What reaches a disk or a peer is one of these, never openraft's own serialisation, so that a new openraft cannot
//! change a format unseen. Conversions go both ways; golden tests freeze the bytes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::BasicNode;
use openraft::entry::RaftEntry;
use openraft::vote::RaftLeaderId;
use serde::{Deserialize, Serialize};

use super::config::{self, Proposal};
use super::witness::{Ballot, Leadership, Position};
use crate::id::NodeId;
use crate::machine::Stamp;
use crate::versioned;

/// A leader: its term and who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderRecord {
    /// Term of the leadership.
    pub term: u64,
    /// The leader.
    pub node: u64,
}

impl From<config::LeaderId> for LeaderRecord {
    fn from(leader: config::LeaderId) -> Self {
        Self { term: leader.term, node: leader.node_id }
    }
}

impl From<LeaderRecord> for config::LeaderId {
    fn from(record: LeaderRecord) -> Self {
        Self::new(record.term, record.node)
    }
}

/// Position of a log entry, with the leader that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIdRecord {
    /// Leader that wrote the entry.
    pub leader: LeaderRecord,
    /// Index of the entry, from 0.
    pub index: u64,
}

impl From<LogIdRecord> for Position {
    fn from(record: LogIdRecord) -> Self {
        let leadership = Leadership { term: record.leader.term, node: NodeId(record.leader.node) };
        Self { leadership, index: record.index }
    }
}

impl From<config::LogId> for LogIdRecord {
    fn from(id: config::LogId) -> Self {
        Self { leader: id.leader_id.into(), index: id.index }
    }
}

impl From<LogIdRecord> for config::LogId {
    fn from(record: LogIdRecord) -> Self {
        Self::new(record.leader.into(), record.index)
    }
}

/// A vote: for whom, and whether a quorum granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRecord {
    /// Candidate or leader.
    pub leader: LeaderRecord,
    /// Whether a quorum granted it.
    pub committed: bool,
}

impl From<VoteRecord> for Ballot {
    fn from(record: VoteRecord) -> Self {
        let leadership = Leadership { term: record.leader.term, node: NodeId(record.leader.node) };
        Self { leadership, committed: record.committed }
    }
}

impl From<config::Vote> for VoteRecord {
    fn from(vote: config::Vote) -> Self {
        Self { leader: vote.leader_id.into(), committed: vote.committed }
    }
}

impl From<VoteRecord> for config::Vote {
    fn from(record: VoteRecord) -> Self {
        Self { leader_id: record.leader.into(), committed: record.committed }
    }
}

/// Who belongs to a group: voters (two sets while they change), and every member's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// Sets of voters; each must agree.
    pub voters: Vec<BTreeSet<u64>>,
    /// Voters and learners with their addresses.
    pub nodes: BTreeMap<u64, String>,
}

impl From<&config::Membership> for MembershipRecord {
    fn from(membership: &config::Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, node)| (*id, node.addr.clone())).collect(),
        }
    }
}

impl From<MembershipRecord> for config::Membership {
    fn from(record: MembershipRecord) -> Self {
        let voters: Vec<BTreeSet<u64>> = record.voters.into_iter().filter(|voters| !voters.is_empty()).collect();
        let mut nodes: BTreeMap<u64, BasicNode> =
            record.nodes.into_iter().map(|(id, address)| (id, BasicNode::new(address))).collect();
        for voter in voters.iter().flatten() {
            nodes.entry(*voter).or_insert_with(|| BasicNode::new(""));
        }
        Self::new(voters, nodes).expect("no set is empty and every voter has an address")
    }
}

/// A membership and the entry that brought it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMembershipRecord {
    /// Entry that brought it; none before the first.
    pub log_id: Option<LogIdRecord>,
    /// The members.
    pub membership: MembershipRecord,
}

impl From<&config::StoredMembership> for StoredMembershipRecord {
    fn from(stored: &config::StoredMembership) -> Self {
        Self { log_id: stored.log_id().map(Into::into), membership: stored.membership().into() }
    }
}

impl From<StoredMembershipRecord> for config::StoredMembership {
    fn from(record: StoredMembershipRecord) -> Self {
        Self::new(record.log_id.map(Into::into), record.membership.into())
    }
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadRecord {
    /// Nothing: a new leader's first entry.
    Blank,
    /// A command of the machine.
    Command {
        /// When and by which request.
        stamp: Stamp,
        /// The command, encoded.
        command: Bytes,
    },
    /// A change of members.
    Membership(MembershipRecord),
}

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// Its position.
    pub log_id: LogIdRecord,
    /// What it carries.
    pub payload: PayloadRecord,
}

impl From<config::Payload> for PayloadRecord {
    fn from(payload: config::Payload) -> Self {
        match payload {
            config::Payload::Blank => Self::Blank,
            config::Payload::Normal(Proposal { stamp, command }) => Self::Command { stamp, command },
            config::Payload::Membership(membership) => Self::Membership((&membership).into()),
        }
    }
}

impl From<config::Entry> for EntryRecord {
    fn from(entry: config::Entry) -> Self {
        Self { log_id: entry.log_id.into(), payload: entry.payload.into() }
    }
}

impl From<EntryRecord> for config::Entry {
    fn from(record: EntryRecord) -> Self {
        let payload = match record.payload {
            PayloadRecord::Blank => config::Payload::Blank,
            PayloadRecord::Command { stamp, command } => config::Payload::Normal(Proposal { stamp, command }),
            PayloadRecord::Membership(membership) => config::Payload::Membership(membership.into()),
        };
        Self::new(record.log_id.into(), payload)
    }
}

/// What a state, and so a snapshot of it, contains: everything up to an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRecord {
    /// Last entry applied; none before the first.
    pub last_applied: Option<LogIdRecord>,
    /// Members as of that entry.
    pub membership: StoredMembershipRecord,
}

impl From<&config::SnapshotMeta> for AppliedRecord {
    fn from(meta: &config::SnapshotMeta) -> Self {
        Self { last_applied: meta.last_log_id.map(Into::into), membership: (&meta.last_membership).into() }
    }
}

impl From<AppliedRecord> for config::SnapshotMeta {
    fn from(record: AppliedRecord) -> Self {
        Self { last_log_id: record.last_applied.map(Into::into), last_membership: record.membership.into() }
    }
}

versioned! {
    LogIdRecord = 1, "log position";
    VoteRecord = 1, "vote";
    EntryRecord = 1, "log entry";
    AppliedRecord = 1, "applied position";
}
