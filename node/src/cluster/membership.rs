//! Carries out the plan: on each node, for each group that it leads, one step after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{self, Catalog};
use raft::directory::{Command, Directory, DiskState, NodeRecord, NodeState, Response, View};
use raft::group::{Group, GroupStatus, MembersError, Role};
use raft::id::{GroupId, NodeId, RegionId, RequestId};
use raft::machine::Machine;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::plan::{Candidate, Liveness, Step, plan};
use super::removal::{Removal, Standing, next};
use crate::environment::Entropy;
use crate::members::Members;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// Bound on the directory's confirmation, by voters of other regions perhaps.
const CONFIRMATION: Duration = Duration::from_secs(6);
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
    /// Ids of requests.
    pub entropy: Arc<dyn Entropy>,
}

/// Since when something holds, as this node has seen it.
type Since = BTreeMap<NodeId, Instant>;

impl Membership {
    /// Looks after the groups. What this node's replica of the directory says is acted on only once a quorum has
    /// confirmed it: a replica that is behind knows fewer nodes than there are. Never ends.
    pub async fn keep(self) {
        let (mut silent_since, mut empty_since) = (Since::new(), Since::new());
        loop {
            sleep(INTERVAL).await;
            if !self.catalog.is_leader() {
                empty_since.clear();
            }
            if !self.directory.is_leader() && !self.catalog.is_leader() {
                silent_since.clear();
                continue;
            }
            let confirmed = matches!(timeout(CONFIRMATION, self.directory.read_barrier()).await, Ok(Ok(())));
            let view = View::new(self.directory.state());
            let (nodes, primary) = match view.nodes().and_then(|nodes| Ok((nodes, view.primary()?))) {
                Ok((nodes, Some(primary))) => (nodes, primary),
                // The cluster is being founded.
                Ok((_, None)) => continue,
                Err(error) => {
                    warn!(%error, "the directory cannot be read, voters stay as they are");
                    continue;
                }
            };
            self.watch_silence(&nodes, &mut silent_since);
            if let Some(offset) = self.clock_is_astray() {
                tokio::join!(self.hand_over(&self.directory, offset), self.hand_over(&self.catalog, offset));
            } else if confirmed {
                tokio::join!(
                    self.tend(&self.directory, primary, &nodes, &silent_since),
                    self.tend(&self.catalog, primary, &nodes, &silent_since)
                );
                self.remove_departed(nodes, &silent_since, &mut empty_since).await;
            } else {
                debug!("the directory is not confirmed, voters stay as they are");
            }
        }
    }

    fn watch_silence(&self, nodes: &[(NodeId, NodeRecord)], silent_since: &mut Since) {
        let now = Instant::now();
        for (node, _) in nodes {
            if self.members.is_live(*node) {
                silent_since.remove(node);
            } else {
                silent_since.entry(*node).or_insert(now);
            }
        }
    }

    /// Gives away the leadership of a group, if this node has it and somebody can take it.
    async fn hand_over<M: Machine>(&self, group: &Group<M>, offset: i64) {
        let status = group.status();
        let can_lead = |node: &&NodeId| **node != self.members.own() && self.members.is_live(**node);
        if status.role == Role::Leader
            && let Some(heir) = status.voters.iter().find(can_lead)
        {
            warn!(
                group = %status.group, %heir, offset_milliseconds = offset,
                "this node's clock is far from its peers', the leadership is handed over: set the clock"
            );
            report(&status, group.transfer_leadership(*heir).await);
        }
    }

    /// One step for one group, if this node leads it.
    async fn tend<M: Machine>(
        &self,
        group: &Group<M>,
        primary: RegionId,
        nodes: &[(NodeId, NodeRecord)],
        silent_since: &Since,
    ) {
        let status = group.status();
        if status.role != Role::Leader {
            return;
        }
        let voters: BTreeSet<NodeId> = status.voters.iter().copied().collect();
        let learners = status.learners.iter().copied().collect();
        let liveness = |node: NodeId| match silent_since.get(&node) {
            None => Liveness::Live,
            Some(since) if since.elapsed() < REPLACED_AFTER => Liveness::Away,
            Some(_) => Liveness::Gone,
        };
        let candidates = candidates(self.members.own(), &status, nodes, liveness);
        let Some(step) = plan(self.members.own(), primary, &candidates, &voters, &learners) else { return };
        info!(group = %status.group, ?step, "membership step");
        let outcome = match step {
            Step::AddLearner { node, address } => group.add_learner(node, address).await,
            Step::SetVoters(voters) => group.change_voters(voters).await,
            Step::Remove(node) => group.remove(node).await,
            Step::HandOver(node) => group.transfer_leadership(node).await,
        };
        report(&status, outcome);
    }

    /// Removes who is to go, one after the other. The leader of a region's catalog looks after the region's nodes: it
    /// knows what they hold.
    async fn remove_departed(&self, nodes: Vec<(NodeId, NodeRecord)>, silent_since: &Since, empty_since: &mut Since) {
        let in_question = |record: &NodeRecord| {
            let given_up = record.disks.iter().any(|disk| disk.state == DiskState::Failed);
            record.state == NodeState::Draining || (given_up && record.state != NodeState::Removed)
        };
        if !self.catalog.is_leader()
            || !nodes.iter().any(|(_, record)| in_question(record))
            || self.catalog.read_barrier().await.is_err()
        {
            return;
        }
        let Some(removal) = self.standings(nodes, silent_since, empty_since).and_then(|standings| next(&standings))
        else {
            return;
        };
        let command = match &removal {
            Removal::Emptied(node) | Removal::Replaced { node, .. } => {
                Command::SetNodeState { node: *node, state: NodeState::Removed }
            }
            Removal::Disk(node, disk) => Command::SetDiskState { node: *node, disk: *disk, state: DiskState::Removed },
        };
        match self.directory.propose(RequestId(self.entropy.id()), command).await {
            Ok(Response::Refused(refusal)) => warn!(?removal, %refusal, "the directory does not let it go"),
            Ok(_) => info!(?removal, "removed"),
            Err(error) => debug!(?removal, %error, "the removal is put off"),
        }
    }

    /// The region's nodes with what they hold; `None` when the catalog cannot be read.
    fn standings(
        &self,
        nodes: Vec<(NodeId, NodeRecord)>,
        silent_since: &Since,
        empty_since: &mut Since,
    ) -> Option<Vec<Standing>> {
        let region = self.members.region();
        let view = catalog::View::new(self.catalog.state());
        let mut standings = Vec::new();
        for (node, record) in nodes.into_iter().filter(|(_, record)| record.region == region) {
            let used = view.disks_of(node).ok()?;
            let used_disks: Vec<_> = used.iter().filter(|(_, held)| held.shards > 0).map(|(disk, _)| *disk).collect();
            if used_disks.is_empty() && record.state == NodeState::Draining {
                empty_since.entry(node).or_insert_with(Instant::now);
            } else {
                empty_since.remove(&node);
            }
            let elapsed = |since: &Since| since.get(&node).map(Instant::elapsed);
            standings.push(Standing {
                node,
                silent: elapsed(silent_since),
                empty: elapsed(empty_since),
                record,
                used_disks,
            });
        }
        Some(standings)
    }

    /// How far this node's clock is from the others', if that is too far. Two nodes cannot tell whose clock is wrong.
    fn clock_is_astray(&self) -> Option<i64> {
        let offsets: Vec<i64> = self.members.clock_offsets().into_values().collect();
        astray(offsets, self.max_clock_offset)
    }
}

/// The nodes that belong into a group, and those that did.
pub(crate) fn candidates(
    own: NodeId,
    status: &GroupStatus,
    nodes: &[(NodeId, NodeRecord)],
    liveness: impl Fn(NodeId) -> Liveness,
) -> Vec<Candidate> {
    let belongs = |record: &NodeRecord| match status.group {
        GroupId::Directory => true,
        GroupId::Catalog(region) => record.region == region,
    };
    nodes
        .iter()
        .filter(|(_, record)| belongs(record))
        .map(|(node, record)| Candidate {
            node: *node,
            address: record.info.peer_address.clone(),
            region: record.region,
            zone: record.info.zone.clone(),
            state: record.state,
            recorded_address: status.addresses.get(node).cloned(),
            liveness: liveness(*node),
            lag: if *node == own { Some(0) } else { status.lag.get(node).copied() },
        })
        .collect()
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
