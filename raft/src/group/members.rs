//! Who belongs to a group: learners, voters, and who leads. Changes are made on the leader only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::Group;
use super::error::MembersError;
use crate::id::NodeId;
use crate::machine::Machine;

/// Longest wait for a change to be committed.
const DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two looks at who leads.
const POLL: Duration = Duration::from_millis(50);
/// A transfer is best effort; it is asked for again after this.
const TRANSFER_REPEAT: Duration = Duration::from_secs(1);

type Changes = ChangeMembers<u64, BasicNode>;

impl<M: Machine> Group<M> {
    /// Adds a learner, which gets everything and votes on nothing; or gives a member a new address. Returns when the
    /// change is committed, not when the learner has caught up: [`status`](Self::status) shows its lag.
    ///
    /// # Errors
    /// [`MembersError`], also when this node does not lead.
    pub async fn add_learner(&self, node: NodeId, address: String) -> Result<(), MembersError> {
        let present = self.address(node);
        if present.as_ref() == Some(&address) {
            return self.require_leader();
        }
        let nodes = BTreeMap::from([(node.0, BasicNode::new(&address))]);
        info!(group = %self.id(), %node, address, "adding a learner or changing an address");
        match present {
            Some(_) => self.change(Changes::SetNodes(nodes), true).await,
            None => self.change(Changes::AddNodes(nodes), true).await,
        }
    }

    /// Makes exactly these members voters. Voters that are not among them become learners; new ones must be learners
    /// that have caught up.
    ///
    /// # Errors
    /// [`MembersError`], also when this node does not lead.
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), MembersError> {
        let voters: BTreeSet<u64> = voters.into_iter().map(|node| node.0).collect();
        let settled = {
            let metrics = self.core().raft.metrics();
            let metrics = metrics.borrow_watched();
            *metrics.membership_config.get_joint_config() == [voters.clone()]
        };
        if settled {
            return self.require_leader();
        }
        info!(group = %self.id(), ?voters, "changing voters");
        self.change(Changes::ReplaceAllVoters(voters), true).await
    }

    /// Removes a member, voter or learner. One that is no member is no error.
    ///
    /// # Errors
    /// [`MembersError`], also when this node does not lead.
    pub async fn remove(&self, node: NodeId) -> Result<(), MembersError> {
        let (member, voter) = {
            let metrics = self.core().raft.metrics();
            let metrics = metrics.borrow_watched();
            let membership = &metrics.membership_config;
            (membership.get_node(&node.0).is_some(), membership.voter_ids().any(|voter| voter == node.0))
        };
        if !member {
            return self.require_leader();
        }
        info!(group = %self.id(), %node, voter, "removing a member");
        let node = BTreeSet::from([node.0]);
        let changes = if voter { Changes::RemoveVoters(node) } else { Changes::RemoveNodes(node) };
        self.change(changes, false).await
    }

    /// Hands the leadership to a voter and waits until it leads. Best effort, repeated up to the deadline.
    ///
    /// # Errors
    /// [`MembersError::NotLeader`] when another node leads before or afterwards, [`MembersError::Unknown`] when it
    /// did not happen in time.
    pub async fn transfer_leadership(&self, to: NodeId) -> Result<(), MembersError> {
        if self.leader() == Some(to) {
            return Ok(());
        }
        self.require_leader()?;
        info!(group = %self.id(), %to, "handing over the leadership");
        let deadline = Instant::now() + DEADLINE;
        let mut asked: Option<Instant> = None;
        while Instant::now() < deadline {
            match self.leader() {
                Some(leader) if leader == to => return Ok(()),
                Some(leader) if leader != self.options.node => {
                    return Err(MembersError::NotLeader { group: self.id(), leader: Some(leader) });
                }
                leader => {
                    let due = asked.is_none_or(|asked| asked.elapsed() >= TRANSFER_REPEAT);
                    if leader.is_some() && due {
                        self.core()
                            .raft
                            .trigger()
                            .transfer_leader(to.0)
                            .await
                            .map_err(|error| MembersError::Stopped { group: self.id(), message: error.to_string() })?;
                        asked = Some(Instant::now());
                    }
                }
            }
            sleep(POLL).await;
        }
        Err(MembersError::Unknown { group: self.id() })
    }

    fn require_leader(&self) -> Result<(), MembersError> {
        if self.is_leader() {
            return Ok(());
        }
        Err(MembersError::NotLeader { group: self.id(), leader: self.leader() })
    }

    async fn change(&self, changes: Changes, retain: bool) -> Result<(), MembersError> {
        let group = self.id();
        let core = self.core();
        match timeout(DEADLINE, core.raft.change_membership(changes, retain)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::Fatal(fatal))) => Err(MembersError::Stopped { group, message: fatal.to_string() }),
            Ok(Err(RaftError::APIError(error))) => Err(match error {
                ClientWriteError::ForwardToLeader(forward) => {
                    MembersError::NotLeader { group, leader: forward.leader_id.map(NodeId) }
                }
                ClientWriteError::ChangeMembershipError(
                    error @ (ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_)),
                ) => MembersError::Busy { group, message: error.to_string() },
                ClientWriteError::LogEntryDiscarded(_) => MembersError::Unknown { group },
                error => MembersError::Refused { group, message: error.to_string() },
            }),
            Err(_) => Err(MembersError::Unknown { group }),
        }
    }
}
