//! Proposals: on the leader directly, from elsewhere forwarded to it.
//!
//! A proposal waits out elections up to its deadline and is repeated under the same request id, so a command whose
//! answer was lost may be applied twice: commands are idempotent or carry their request id. The leader's clock stamps
//! the command, once per attempt. Concurrent proposals are batched by openraft's queue and by the log's group commit.

use std::time::Duration;

use bytes::Bytes;
use openraft::error::{ClientWriteError, RaftError};
use storage::switch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use super::Group;
use super::config::Proposal;
use super::error::{LeaderCallError, ProposeError};
use super::message::{Addressed, Proposed, Request, Response};
use super::transport::TransportError;
use crate::codec;
use crate::id::{NodeId, RequestId};
use crate::machine::{Machine, Stamp};

/// Most bytes of an encoded command: those of the largest manifest that can be allowed, and a margin for what is beside
/// it. Well below what peers take in one message.
pub const COMMAND_LIMIT_BYTES: usize = 17 << 20;
/// Longest wait for a response.
const DEADLINE: Duration = Duration::from_secs(8);
/// Longest wait for the leader's answer to one attempt: a leader that died without a word is found out after this.
const FORWARD_DEADLINE: Duration = Duration::from_secs(3);
/// Pause before the first repetition; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Outcome of one attempt.
enum Attempt {
    Applied(Bytes),
    /// Not accepted anywhere; perhaps there.
    NotAccepted {
        leader: Option<NodeId>,
    },
    /// Accepted, or perhaps; the response is lost.
    Unknown,
    Stopped(String),
}

impl<M: Machine> Group<M> {
    /// Proposes a command and returns the machine's response once it is applied here or, from a follower, at the
    /// leader (use [`read_barrier`](Self::read_barrier) to see its effects here).
    ///
    /// # Errors
    /// [`ProposeError`], which says whether the command may have had an effect. The same `request` may be proposed
    /// again.
    pub async fn propose(&self, request: RequestId, command: M::Command) -> Result<M::Response, ProposeError> {
        let group = self.id();
        let command = Bytes::from(codec::encode(&command));
        if command.len() > COMMAND_LIMIT_BYTES {
            // Peers would refuse to take it over, again and again, and the log would stand still.
            return Err(ProposeError::TooLarge {
                group,
                length_bytes: command.len(),
                limit_bytes: COMMAND_LIMIT_BYTES,
            });
        }
        let started = Instant::now();
        let deadline = started + DEADLINE;
        let mut pause = PAUSE;
        let mut uncertain = false;
        let mut hint = None;
        loop {
            match self.attempt(request, command.clone(), hint.take(), deadline).await {
                Attempt::Applied(response) => {
                    return codec::decode(&response).map_err(|source| ProposeError::Response { group, source });
                }
                Attempt::NotAccepted { leader } => hint = leader,
                Attempt::Unknown => uncertain = true,
                Attempt::Stopped(message) => return Err(ProposeError::Stopped { group, message }),
            }
            if Instant::now() + pause >= deadline {
                let waited = started.elapsed();
                return Err(if uncertain {
                    ProposeError::Unknown { group, waited }
                } else {
                    ProposeError::Unavailable { group, waited }
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, request: RequestId, command: Bytes, hint: Option<NodeId>, deadline: Instant) -> Attempt {
        match hint.or_else(|| self.leader()) {
            None => Attempt::NotAccepted { leader: None },
            Some(leader) if leader == self.options.node => self.propose_here(request, command, deadline).await,
            Some(leader) => self.propose_there(leader, request, command, deadline).await,
        }
    }

    async fn propose_here(&self, request: RequestId, command: Bytes, deadline: Instant) -> Attempt {
        let proposal = Proposal { stamp: Stamp { time: self.resources.clock.now(), request }, command };
        let core = self.core();
        match timeout_at(deadline, core.raft.client_write(proposal)).await {
            Ok(Ok(response)) => Attempt::Applied(response.data.0),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                let other = |leader: &NodeId| *leader != self.options.node;
                Attempt::NotAccepted { leader: forward.leader_id.map(NodeId).filter(other) }
            }
            Ok(Err(RaftError::APIError(error))) => {
                debug!(group = %self.id(), %error, "proposal was accepted and its outcome is not known");
                Attempt::Unknown
            }
            // It may have been accepted, and be kept by the next life of the replica.
            Ok(Err(RaftError::Fatal(_))) if core.is_leaving() => Attempt::Unknown,
            Ok(Err(RaftError::Fatal(fatal))) => Attempt::Stopped(fatal.to_string()),
            Err(_) => Attempt::Unknown,
        }
    }

    async fn propose_there(&self, leader: NodeId, request: RequestId, command: Bytes, deadline: Instant) -> Attempt {
        let address = self.address(leader).unwrap_or_default();
        let (incarnation, request) = (self.incarnation(), Request::Propose { request, command });
        let message = Bytes::from(codec::encode(&Addressed { incarnation, request }));
        let left = deadline.saturating_duration_since(Instant::now()).min(FORWARD_DEADLINE);
        let answer = self.resources.transport.call(leader, &address, self.id(), message, left).await;
        let error: LeaderCallError = match answer {
            Ok(bytes) => match codec::decode(&bytes) {
                Ok(Response::Propose(Proposed::Applied(_))) if switch::rare("raft.propose.lose_answer") => {
                    return Attempt::Unknown;
                }
                Ok(Response::Propose(Proposed::Applied(response))) => return Attempt::Applied(response),
                Ok(Response::Propose(Proposed::NotLeader { leader })) => {
                    return Attempt::NotAccepted { leader: leader.map(NodeId) };
                }
                Ok(Response::Propose(Proposed::Unknown)) => return Attempt::Unknown,
                Ok(Response::OtherIncarnation(other)) => {
                    self.heard.note(other);
                    LeaderCallError::OtherIncarnation(other)
                }
                Ok(_) => LeaderCallError::Mismatch,
                Err(error) => error.into(),
            },
            Err(error) => error.into(),
        };
        debug!(group = %self.id(), %leader, %error, "forwarding a proposal failed");
        match error {
            LeaderCallError::Transport(TransportError::Unreachable(_)) | LeaderCallError::OtherIncarnation(_) => {
                Attempt::NotAccepted { leader: None }
            }
            _ => Attempt::Unknown,
        }
    }

    /// Answers a peer that forwards a proposal. Never forwarded further.
    pub(super) async fn answer_propose(&self, request: RequestId, command: Bytes) -> Result<Proposed, String> {
        if !self.is_leader() {
            return Ok(Proposed::NotLeader { leader: self.leader().map(|leader| leader.0) });
        }
        match self.propose_here(request, command, Instant::now() + DEADLINE).await {
            Attempt::Applied(response) => Ok(Proposed::Applied(response)),
            Attempt::NotAccepted { leader } => Ok(Proposed::NotLeader { leader: leader.map(|leader| leader.0) }),
            Attempt::Unknown => Ok(Proposed::Unknown),
            Attempt::Stopped(message) => Err(message),
        }
    }
}
