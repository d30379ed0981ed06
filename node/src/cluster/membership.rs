//! Carries out the plan: on each node, for each group that it leads, one step after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::Catalog;
use raft::directory::{Directory, NodeRecord, NodeState, View};
use raft::group::{Group, GroupStatus, MembersError, Role};
use raft::id::NodeId;
use raft::machine::Machine;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::init::FIRST_REGION;
use super::plan::{Candidate, Liveness, Step, plan};
use crate::members::Members;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// A voter that has not answered for so long is replaced, if somebody can take its place.
const REPLACED_AFTER: Duration = Duration::from_mins(5);

/// The membership of this node's groups.
#[derive(Debug)]
pub struct Membership {
    /// Who answers.
    pub members: Members,
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
    /// A leader whose clock is further from its peers' hands over.
    pub max_clock_offset: Duration,
}

impl Membership {
    /// Looks after the groups. Never ends.
    pub async fn keep(self) {
        let mut silent_since = BTreeMap::new();
        loop {
            sleep(INTERVAL).await;
            if !self.directory.is_leader() && !self.catalog.is_leader() {
                silent_since.clear();
                continue;
            }
            let nodes = match View::new(self.directory.state()).nodes() {
                Ok(nodes) => nodes,
                Err(error) => {
                    warn!(%error, "the directory cannot be read, voters stay as they are");
                    continue;
                }
            };
            self.watch_silence(&nodes, &mut silent_since);
            let astray = self.clock_is_astray();
            tokio::join!(
                self.tend(&self.directory, &nodes, &silent_since, astray),
                self.tend(&self.catalog, &nodes, &silent_since, astray)
            );
        }
    }

    fn watch_silence(&self, nodes: &[(NodeId, NodeRecord)], silent_since: &mut BTreeMap<NodeId, Instant>) {
        let now = Instant::now();
        for (node, _) in nodes {
            if self.members.is_live(*node) {
                silent_since.remove(node);
            } else {
                silent_since.entry(*node).or_insert(now);
            }
        }
    }

    /// One step for one group, if this node leads it.
    async fn tend<M: Machine>(
        &self,
        group: &Group<M>,
        nodes: &[(NodeId, NodeRecord)],
        silent_since: &BTreeMap<NodeId, Instant>,
        astray: Option<i64>,
    ) {
        let status = group.status();
        if status.role != Role::Leader {
            return;
        }
        let voters: BTreeSet<NodeId> = status.voters.iter().copied().collect();
        if let Some(offset) = astray
            && let Some(heir) = voters.iter().find(|node| **node != self.members.own() && self.members.is_live(**node))
        {
            warn!(
                group = %status.group, %heir, offset_milliseconds = offset,
                "this node's clock is far from its peers', the leadership is handed over: set the clock"
            );
            report(&status, group.transfer_leadership(*heir).await);
            return;
        }
        let learners = status.learners.iter().copied().collect();
        let candidates = self.candidates(&status, nodes, silent_since);
        let Some(step) = plan(self.members.own(), &candidates, &voters, &learners) else { return };
        info!(group = %status.group, ?step, "membership step");
        let outcome = match step {
            Step::AddLearner { node, address } => group.add_learner(node, address).await,
            Step::SetVoters(voters) => group.change_voters(voters).await,
            Step::Remove(node) => group.remove(node).await,
            Step::HandOver(node) => group.transfer_leadership(node).await,
        };
        report(&status, outcome);
    }

    fn candidates(
        &self,
        status: &GroupStatus,
        nodes: &[(NodeId, NodeRecord)],
        silent_since: &BTreeMap<NodeId, Instant>,
    ) -> Vec<Candidate> {
        let own = self.members.own();
        let liveness = |node: &NodeId| match silent_since.get(node) {
            None => Liveness::Live,
            Some(since) if since.elapsed() < REPLACED_AFTER => Liveness::Away,
            Some(_) => Liveness::Gone,
        };
        let region = match status.group {
            raft::id::GroupId::Directory => FIRST_REGION,
            raft::id::GroupId::Catalog(region) => region,
        };
        let is_directory = status.group == raft::id::GroupId::Directory;
        nodes
            .iter()
            .filter(|(_, record)| record.state != NodeState::Removed && (is_directory || record.region == region))
            .map(|(node, record)| Candidate {
                node: *node,
                address: record.info.peer_address.clone(),
                zone: record.info.zone.clone(),
                state: record.state,
                may_vote: record.region == region,
                recorded_address: status.addresses.get(node).cloned(),
                liveness: liveness(node),
                lag: if *node == own { Some(0) } else { status.lag.get(node).copied() },
            })
            .collect()
    }

    /// How far this node's clock is from the others', if that is too far. Two nodes cannot tell whose clock is wrong.
    fn clock_is_astray(&self) -> Option<i64> {
        let offsets: Vec<i64> = self.members.clock_offsets().into_values().collect();
        astray(offsets, self.max_clock_offset)
    }
}

/// How far the median of all clocks, this node's included, is from this node's, if that is beyond the limit.
fn astray(mut offsets: Vec<i64>, limit: Duration) -> Option<i64> {
    offsets.push(0);
    offsets.sort_unstable();
    // Of two middle ones the nearer to the own clock: a majority must disagree with it.
    let (low, high) = (offsets[(offsets.len() - 1) / 2], offsets[offsets.len() / 2]);
    let median = if low.unsigned_abs() <= high.unsigned_abs() { low } else { high };
    (u128::from(median.unsigned_abs()) > limit.as_millis()).then_some(median)
}

fn report(status: &GroupStatus, outcome: Result<(), MembersError>) {
    match outcome {
        Ok(()) => {}
        Err(error @ (MembersError::NotLeader { .. } | MembersError::Busy { .. })) => {
            debug!(group = %status.group, %error, "membership step put off");
        }
        Err(error) => warn!(group = %status.group, %error, "membership step failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_astray_when_the_majority_disagrees() {
        let limit = Duration::from_secs(30);
        assert_eq!(astray(vec![], limit), None);
        assert_eq!(astray(vec![60_000], limit), None, "two nodes cannot tell whose clock is wrong");
        assert_eq!(astray(vec![60_000, 61_000], limit), Some(60_000));
        assert_eq!(astray(vec![60_000, 0], limit), None);
        assert_eq!(astray(vec![-60_000, 60_000], limit), None, "it is in the middle");
        assert_eq!(astray(vec![0, 10, 60_000], limit), None);
        assert_eq!(astray(vec![-31_000, -31_000, 5, -32_000], limit), Some(-31_000));
    }
}
