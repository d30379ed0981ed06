//! What a replica knows about its group, for operators and for decisions about members.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use serde::Serialize;

use super::Group;
use crate::id::{GroupId, NodeId};
use crate::machine::Machine;

/// What a replica does in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It leads.
    Leader,
    /// It votes and follows.
    Follower,
    /// It stands for election.
    Candidate,
    /// It follows without a vote.
    Learner,
    /// It has stopped.
    Stopped,
}

/// A replica's view of its group at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// What this replica does.
    pub role: Role,
    /// Who leads, as far as is known.
    pub leader: Option<NodeId>,
    /// Present term.
    pub term: u64,
    /// Last entry of this replica's log.
    pub last_log_index: Option<u64>,
    /// Last entry that this replica knows to be committed.
    pub committed_index: Option<u64>,
    /// Last entry applied here.
    pub applied_index: Option<u64>,
    /// Last entry of the newest snapshot here.
    pub snapshot_index: Option<u64>,
    /// Last entry purged from the log here.
    pub purged_index: Option<u64>,
    /// Members that vote. While voters change, those of both sets.
    pub voters: Vec<NodeId>,
    /// Members that do not.
    pub learners: Vec<NodeId>,
    /// Address of each member.
    pub addresses: BTreeMap<NodeId, String>,
    /// On the leader: entries that each other member lacks.
    pub lag: BTreeMap<NodeId, u64>,
    /// Why it has stopped, if it has.
    pub failure: Option<String>,
}

impl<M: Machine> Group<M> {
    /// Completes when the replica has stopped, and says why: its log or its state could not be written or read, an
    /// entry not be applied, or reads cannot be confirmed any more. It does not run again before the process starts
    /// anew. A shutdown is such an end too.
    pub async fn failed(&self) -> String {
        let mut cores = self.core.subscribe();
        loop {
            let core = Arc::clone(&cores.borrow_and_update());
            tokio::select! {
                biased;
                // The sender lives in the group.
                _ = cores.changed() => {}
                failure = core.failed() => {
                    if !core.is_leaving() {
                        return failure;
                    }
                    let _ = cores.changed().await;
                }
            }
        }
    }

    /// This replica's view of the group. Cheap; it does not ask anybody.
    pub fn status(&self) -> GroupStatus {
        let metrics = self.core().raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let end = metrics.last_log_index.map_or(0, |index| index + 1);
        let own = self.options.node.0;
        let lag = metrics.replication.iter().flatten().filter(|(node, _)| **node != own);
        let failure = metrics.running_state.as_ref().err().map(ToString::to_string);
        GroupStatus {
            group: self.id(),
            role: match metrics.state {
                _ if failure.is_some() => Role::Stopped,
                ServerState::Leader => Role::Leader,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Learner => Role::Learner,
                ServerState::Shutdown => Role::Stopped,
            },
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            last_log_index: metrics.last_log_index,
            committed_index: metrics.local_committed.map(|id| id.index),
            applied_index: metrics.last_applied.map(|id| id.index),
            snapshot_index: metrics.snapshot.map(|id| id.index),
            purged_index: metrics.purged.map(|id| id.index),
            voters: membership.voter_ids().map(NodeId).collect(),
            learners: membership.learner_ids().map(NodeId).collect(),
            addresses: membership.nodes().map(|(node, info)| (NodeId(*node), info.addr.clone())).collect(),
            lag: lag
                .map(|(node, matched)| (NodeId(*node), end.saturating_sub(matched.map_or(0, |id| id.index + 1))))
                .collect(),
            failure,
        }
    }
}
