//! Linearizable reads: a barrier behind which this replica's state shows all that was acknowledged before.
//!
//! The leader confirms its leadership with a quorum and names the index that a reader must have applied; a follower
//! asks the leader. Concurrent callers share rounds ([`super::coalesce`]). A barrier waits out elections up to its
//! deadline. No leases: a wrong clock cannot make a read stale.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{LinearizableReadError, RaftError};
use storage::switch;
use tokio::time::{Instant, sleep, timeout_at};

use super::core::Core;
use super::error::{LeaderCallError, ReadError};
use super::incarnation::{Heard, Incarnation};
use super::message::{Addressed, ReadIndex, Request, Response};
use super::options::{GroupOptions, GroupResources, Timing};
use super::{Group, Raft, member_address};
use crate::codec;
use crate::id::NodeId;
use crate::machine::Machine;

/// Longest wait for a barrier: as long as a proposal waits, so that reads bear the elections that writes do.
const DEADLINE: Duration = Duration::from_secs(8);
/// Longest wait for the leader's answer in one round, where the group's pace does not say that links are slower.
const ROUND_DEADLINE: Duration = Duration::from_millis(1500);
/// Pause before the first repetition; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Why one round named no index.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum RoundError {
    #[error("this node does not lead (leader: {leader:?})")]
    NotLeader { leader: Option<NodeId> },
    #[error("a quorum did not confirm the leader")]
    NoQuorum,
    #[error("no leader is known")]
    NoLeader,
    #[error("asking the leader failed: {0}")]
    Leader(Arc<LeaderCallError>),
    #[error("{0}")]
    Stopped(String),
}

/// Outcome of a round: the index that must be applied before reading.
pub(super) type Round = Result<u64, RoundError>;

/// Longest wait for the leader's answer in one round. The way there and back and the leader's own round to a quorum have
/// to fit; a group whose elections wait longer is one whose links take longer.
fn round_deadline(timing: Timing) -> Duration {
    ROUND_DEADLINE.max(timing.election_max / 2)
}

/// Rounds of a replica that leads.
pub(super) fn own_rounds<M: Machine>(raft: Raft<M>) -> impl Fn() -> BoxFuture<'static, Round> + Send + 'static {
    move || {
        let raft = raft.clone();
        Box::pin(async move {
            match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
                Ok(linearizer) => Ok(linearizer.read_log_id().index()),
                Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                    Err(RoundError::NotLeader { leader: forward.leader_id.map(NodeId) })
                }
                Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(RoundError::NoQuorum),
                Err(RaftError::Fatal(fatal)) => Err(RoundError::Stopped(fatal.to_string())),
            }
        })
    }
}

/// Rounds of a replica that follows: each asks whoever leads then.
pub(super) fn leader_rounds<M: Machine>(
    raft: Raft<M>,
    options: &GroupOptions,
    resources: &GroupResources,
    incarnation: Incarnation,
    heard: Heard,
) -> impl Fn() -> BoxFuture<'static, Round> + Send + 'static {
    let (group, deadline) = (options.id, round_deadline(options.timing));
    let transport = Arc::clone(&resources.transport);
    move || {
        let (raft, transport, heard) = (raft.clone(), Arc::clone(&transport), heard.clone());
        Box::pin(async move {
            let leader = raft.metrics().borrow_watched().current_leader.map(NodeId);
            let leader = leader.ok_or(RoundError::NoLeader)?;
            let address = member_address(&raft, leader).unwrap_or_default();
            let request = Bytes::from(codec::encode(&Addressed { incarnation, request: Request::ReadIndex }));
            let failed = |error: LeaderCallError| RoundError::Leader(Arc::new(error));
            let answer = transport
                .call(leader, &address, group, request, deadline)
                .await
                .map_err(|error| failed(error.into()))?;
            match codec::decode(&answer).map_err(|error| failed(error.into()))? {
                Response::ReadIndex(ReadIndex::Index(index)) => Ok(index),
                Response::ReadIndex(ReadIndex::NotLeader { leader }) => {
                    Err(RoundError::NotLeader { leader: leader.map(NodeId) })
                }
                Response::ReadIndex(ReadIndex::NoQuorum) => Err(RoundError::NoQuorum),
                Response::OtherIncarnation(other) => {
                    heard.note(other);
                    Err(failed(LeaderCallError::OtherIncarnation(other)))
                }
                _ => Err(failed(LeaderCallError::Mismatch)),
            }
        })
    }
}

impl<M: Machine> Group<M> {
    /// Returns when [`state`](Self::state), taken afterwards, shows everything that was acknowledged anywhere in the
    /// cluster before this call.
    ///
    /// # Errors
    /// [`ReadError`] when no leader could confirm it within eight seconds.
    pub async fn read_barrier(&self) -> Result<(), ReadError> {
        let started = Instant::now();
        let deadline = started + DEADLINE;
        let mut last = RoundError::NoLeader;
        let attempts = async {
            let mut pause = PAUSE;
            loop {
                match self.read_round().await {
                    Ok(index) => return self.wait_applied(index).await,
                    Err(RoundError::Stopped(message)) => return Err(message),
                    Err(error) => last = error,
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        };
        match timeout_at(deadline, attempts).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(ReadError::Stopped { group: self.id(), message }),
            Err(_) => {
                Err(ReadError::Unavailable { group: self.id(), waited: started.elapsed(), message: last.to_string() })
            }
        }
    }

    async fn read_round(&self) -> Round {
        let core = self.core();
        let reads = match self.leader() {
            None => return Err(RoundError::NoLeader),
            Some(_) if switch::broken("raft.read_index.skip_quorum") => return Ok(*self.applied.borrow()),
            Some(leader) if leader == self.options.node => &core.own_reads,
            Some(_) => &core.leader_reads,
        };
        match reads.round().await {
            // The next life of the replica will know a leader.
            None | Some(Err(RoundError::Stopped(_))) if core.is_leaving() => Err(RoundError::NoLeader),
            Some(round) => round,
            None => Err(RoundError::Stopped("it was shut down".to_owned())),
        }
    }

    async fn wait_applied(&self, index: u64) -> Result<(), String> {
        if *self.applied.borrow() >= index {
            return Ok(());
        }
        let mut applied = self.applied.clone();
        // It fails only when the state is gone.
        applied.wait_for(|applied| *applied >= index).await.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Answers a peer that follows.
    pub(super) async fn answer_read_index(&self, core: &Core<M>) -> Result<ReadIndex, String> {
        if !core.raft.is_leader() {
            return Ok(ReadIndex::NotLeader { leader: self.leader().map(|leader| leader.0) });
        }
        match core.own_reads.round().await {
            Some(Ok(index)) => Ok(ReadIndex::Index(index)),
            Some(Err(RoundError::NotLeader { leader })) => {
                Ok(ReadIndex::NotLeader { leader: leader.map(|leader| leader.0) })
            }
            Some(Err(RoundError::Stopped(message))) => Err(message),
            Some(Err(_)) => Ok(ReadIndex::NoQuorum),
            None => Err("it was shut down".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_links_get_more_time() {
        let paced = |milliseconds| Timing { election_max: Duration::from_millis(milliseconds), ..Timing::default() };
        assert_eq!(round_deadline(Timing::default()), ROUND_DEADLINE);
        assert_eq!(round_deadline(paced(6000)), Duration::from_secs(3));
    }
}
