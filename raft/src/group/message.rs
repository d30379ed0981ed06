//! What groups say to each other: one versioned enum of requests, one of answers.
//!
//! Append-only: a variant is never changed or moved. Snapshots have frames of their own
//! ([`super::snapshot_stream`]).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::incarnation::Incarnation;
use super::record::{EntryRecord, LogIdRecord, VoteRecord};
use crate::id::RequestId;
use crate::versioned;

/// Entries from the leader; without entries, its heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Append {
    /// The leader's vote.
    pub vote: VoteRecord,
    /// The entry before the first of `entries`.
    pub previous: Option<LogIdRecord>,
    /// The entries, consecutive.
    pub entries: Vec<EntryRecord>,
    /// Up to where the leader knows the log to be committed.
    pub committed: Option<LogIdRecord>,
}

/// A candidate's question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ballot {
    /// The vote it asks for.
    pub vote: VoteRecord,
    /// Its last log entry.
    pub last_log_id: Option<LogIdRecord>,
    /// Whether the leader itself has asked it to stand.
    pub leadership_transfer: bool,
}

/// The leader hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transfer {
    /// The leader's vote.
    pub from: VoteRecord,
    /// Who is to lead.
    pub to: u64,
    /// What the new leader must have.
    pub last_log_id: Option<LogIdRecord>,
}

/// A request to a peer's replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Append entries.
    Append(Append),
    /// Grant a vote.
    Vote(Ballot),
    /// Say whether a vote would be granted.
    PreVote(Ballot),
    /// Take over, or know that another will.
    Transfer(Transfer),
    /// Propose a command, to the leader.
    Propose {
        /// The proposer's name for the request.
        request: RequestId,
        /// The command, encoded.
        command: Bytes,
    },
    /// Confirm the leadership and say up to where a reader must have applied.
    ReadIndex,
}

/// A request with the lineage that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Addressed {
    /// The sender's incarnation: a replica of another one does not act on the request.
    pub incarnation: Incarnation,
    /// The request.
    pub request: Request,
}

/// Answer to [`Request::Append`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Appended {
    /// All entries are stored.
    Success,
    /// Entries up to here are stored.
    Partial(Option<LogIdRecord>),
    /// The entry before the first is not there.
    Conflict,
    /// There is a newer leader or candidate.
    HigherVote(VoteRecord),
}

/// Answer to [`Request::Vote`] and [`Request::PreVote`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cast {
    /// The voter's vote afterwards.
    pub vote: VoteRecord,
    /// Whether it was granted.
    pub granted: bool,
    /// The voter's last log entry.
    pub last_log_id: Option<LogIdRecord>,
}

/// Answer to [`Request::Transfer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Transferred {
    /// The target stands for election.
    Accepted,
    /// The target has seen another vote.
    VoteChanged {
        /// The vote in the request.
        expected: VoteRecord,
        /// The vote there.
        actual: VoteRecord,
    },
    /// The target lacks entries.
    LogNotFlushed {
        /// What it must have.
        expected: Option<LogIdRecord>,
        /// What it has.
        actual: Option<LogIdRecord>,
    },
}

/// Answer to [`Request::Propose`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Proposed {
    /// Applied; the machine's response, encoded.
    Applied(Bytes),
    /// Not accepted: this replica does not lead. No effect.
    NotLeader {
        /// The leader, as far as is known.
        leader: Option<u64>,
    },
    /// Accepted, outcome unknown.
    Unknown,
}

/// Answer to [`Request::ReadIndex`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ReadIndex {
    /// A reader that has applied up to this index sees all that was acknowledged before the question.
    Index(u64),
    /// This replica does not lead.
    NotLeader {
        /// The leader, as far as is known.
        leader: Option<u64>,
    },
    /// It leads, but a quorum did not confirm it in time.
    NoQuorum,
}

/// An answer to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Response {
    /// To [`Request::Append`].
    Append(Appended),
    /// To [`Request::Vote`].
    Vote(Cast),
    /// To [`Request::PreVote`].
    PreVote(Cast),
    /// To [`Request::Transfer`].
    Transfer(Transferred),
    /// To [`Request::Propose`].
    Propose(Proposed),
    /// To [`Request::ReadIndex`].
    ReadIndex(ReadIndex),
    /// To any: this replica is of another incarnation, this one, and has not acted on the request.
    OtherIncarnation(Incarnation),
}

versioned! {
    Addressed = 1, "group request";
    Response = 1, "group response";
}
