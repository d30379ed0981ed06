//! Between openraft's requests and answers and the project's own messages. Pure conversions, nothing else.

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};

use super::config::Types;
use super::message::{Append, Appended, Ballot, Cast, Transfer, Transferred};
use super::record::{EntryRecord, PayloadRecord};

/// Bytes of the commands in entries.
pub(super) fn entries_bytes(entries: &[EntryRecord]) -> u64 {
    let bytes = |entry: &EntryRecord| match &entry.payload {
        PayloadRecord::Command { command, .. } => command.len() as u64,
        PayloadRecord::Blank | PayloadRecord::Membership(_) => 0,
    };
    entries.iter().map(bytes).sum()
}

impl From<AppendEntriesRequest<Types>> for Append {
    fn from(request: AppendEntriesRequest<Types>) -> Self {
        Self {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(Into::into),
            entries: request.entries.into_iter().map(Into::into).collect(),
            committed: request.leader_commit.map(Into::into),
        }
    }
}

impl From<Append> for AppendEntriesRequest<Types> {
    fn from(append: Append) -> Self {
        Self {
            vote: append.vote.into(),
            prev_log_id: append.previous.map(Into::into),
            entries: append.entries.into_iter().map(Into::into).collect(),
            leader_commit: append.committed.map(Into::into),
        }
    }
}

impl From<AppendEntriesResponse<Types>> for Appended {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(id) => Self::Partial(id.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<Types> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::Success => Self::Success,
            Appended::Partial(id) => Self::PartialSuccess(id.map(Into::into)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<VoteRequest<Types>> for Ballot {
    fn from(request: VoteRequest<Types>) -> Self {
        Self {
            vote: request.vote.into(),
            last_log_id: request.last_log_id.map(Into::into),
            leadership_transfer: request.leadership_transfer,
        }
    }
}

impl From<Ballot> for VoteRequest<Types> {
    fn from(ballot: Ballot) -> Self {
        Self {
            vote: ballot.vote.into(),
            last_log_id: ballot.last_log_id.map(Into::into),
            leadership_transfer: ballot.leadership_transfer,
        }
    }
}

impl From<VoteResponse<Types>> for Cast {
    fn from(response: VoteResponse<Types>) -> Self {
        Self {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last_log_id: response.last_log_id.map(Into::into),
        }
    }
}

impl From<Cast> for VoteResponse<Types> {
    fn from(cast: Cast) -> Self {
        Self { vote: cast.vote.into(), vote_granted: cast.granted, last_log_id: cast.last_log_id.map(Into::into) }
    }
}

impl From<TransferLeaderRequest<Types>> for Transfer {
    fn from(request: TransferLeaderRequest<Types>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last_log_id: request.last_log_id().map(|id| (*id).into()),
        }
    }
}

impl From<Transfer> for TransferLeaderRequest<Types> {
    fn from(transfer: Transfer) -> Self {
        Self::new(transfer.from.into(), transfer.to, transfer.last_log_id.map(Into::into))
    }
}

impl From<TransferLeaderResponse<Types>> for Transferred {
    fn from(response: TransferLeaderResponse<Types>) -> Self {
        match response {
            Ok(()) => Self::Accepted,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: expected.into(), actual: actual.into() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                Self::LogNotFlushed { expected: expected.map(Into::into), actual: actual.map(Into::into) }
            }
        }
    }
}

impl From<Transferred> for TransferLeaderResponse<Types> {
    fn from(transferred: Transferred) -> Self {
        match transferred {
            Transferred::Accepted => Ok(()),
            Transferred::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged { expected: expected.into(), actual: actual.into() })
            }
            Transferred::LogNotFlushed { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            }),
        }
    }
}
