//! Whether this node takes requests, and why not: what `/readyz` says.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use raft::catalog::Catalog;
use raft::directory::{Directory, NodeState, View};
use raft::group::Group;
use raft::machine::Machine;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::access::Access;
use crate::cluster::{Liveness, candidates, is_wanted};
use crate::members::Members;

/// Time between two looks while ready.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks while not ready.
const HASTE: Duration = Duration::from_millis(100);
/// Bound on a group's confirmation.
const CONFIRMATION: Duration = Duration::from_secs(3);
/// A node that is to vote, and is not made a voter for this long, serves without: the one that has to catch up first may
/// never do.
const VOTE_PATIENCE: Duration = Duration::from_mins(2);

/// Whether the node takes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Why not, in sentences. Empty when it does.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// A node that has just begun.
    #[must_use]
    pub fn starting() -> Self {
        Self { reasons: vec!["the node is starting".to_owned()] }
    }

    /// Whether it takes requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Keeps a node's readiness up to date.
#[derive(Debug)]
pub struct ReadinessTask {
    /// Own disks.
    pub members: Members,
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
    /// Who may do what.
    pub access: Access,
    /// Why the cluster cannot be founded, if it cannot.
    pub founding: watch::Receiver<Option<String>>,
    /// Where the outcome goes.
    pub outcome: watch::Sender<Readiness>,
    /// 1 while ready.
    pub gauge: Gauge,
}

impl ReadinessTask {
    /// Looks again and again. Never ends.
    pub async fn keep(self) {
        let mut waiting = Waiting::default();
        loop {
            // A region that is cut off from the directory's quorum serves what its own has.
            let directory = async { if self.members.is_confirmed() { None } else { confirm(&self.directory).await } };
            let (directory, catalog) = tokio::join!(directory, confirm(&self.catalog));
            let mut reasons: Vec<String> = self.founding.borrow().iter().cloned().collect();
            reasons.extend(directory);
            reasons.extend(catalog);
            reasons.extend(self.membership());
            // Without them every client would be turned away.
            reasons.extend((!self.access.rights().is_known()).then(|| "the access rules are not read yet".to_owned()));
            reasons.extend(self.disks());
            if reasons.is_empty() {
                reasons.extend(waiting.reason(|| self.vote(), Instant::now()));
            }
            let readiness = Readiness { reasons };
            let ready = readiness.is_ready();
            self.gauge.set(i64::from(ready));
            self.members.set_ready(ready);
            self.outcome.send_if_modified(|present| {
                let changed = *present != readiness;
                if changed {
                    match (present.is_ready(), ready) {
                        (false, true) => info!("ready"),
                        (true, false) => warn!(reasons = readiness.reasons.join("; "), "not ready"),
                        _ => {}
                    }
                    *present = readiness;
                }
                changed
            });
            sleep(if ready { INTERVAL } else { HASTE }).await;
        }
    }

    fn membership(&self) -> Option<String> {
        if self.members.is_dismissed() {
            return Some("this node was removed from the cluster".to_owned());
        }
        match View::new(self.directory.state()).node(self.members.own()) {
            Ok(None) => Some("the directory does not know this node yet".to_owned()),
            Ok(Some(record)) if record.state == NodeState::Joining => {
                Some("this node is joining: the directory does not know yet that it runs".to_owned())
            }
            Ok(Some(_)) if !self.members.is_confirmed() => {
                Some("the directory has not confirmed this node's members yet".to_owned())
            }
            Ok(Some(_)) if self.members.get(self.members.own()).is_none() => {
                Some("this node's members are not read yet".to_owned())
            }
            Ok(Some(_)) => None,
            Err(error) => Some(format!("the directory cannot be read: {error}")),
        }
    }

    /// A group in which this node is yet to become a voter: until then its loss is borne, but that of another not.
    fn vote(&self) -> Option<String> {
        // What cannot be read is reported as such.
        let view = View::new(self.directory.state());
        let (nodes, primary) = (view.nodes().unwrap_or_default(), view.primary().ok().flatten()?);
        [self.directory.status(), self.catalog.status()].iter().find_map(|status| {
            let liveness = |node| if self.members.is_live(node) { Liveness::Live } else { Liveness::Away };
            let candidates = candidates(self.members.own(), status, &nodes, liveness);
            let voters = status.voters.iter().copied().collect();
            let wanted = is_wanted(self.members.own(), status.leader?, primary, &candidates, &voters);
            wanted.then(|| format!("this node does not vote yet in group {}", status.group))
        })
    }

    /// A full disk keeps a node from nothing but taking more; one that fails is another matter.
    fn disks(&self) -> Option<String> {
        let disks = self.members.beat().disks;
        let works = disks.iter().any(|disk| disk.writable || (disk.capacity_bytes > 0 && disk.available_bytes == 0));
        (!works).then(|| "none of this node's disks answers".to_owned())
    }
}

/// What a node that has just started waits for. Once it serves, it goes on serving while others decide that it votes.
#[derive(Debug, Default)]
struct Waiting {
    since: Option<Instant>,
    over: bool,
}

impl Waiting {
    /// Why the node has to wait, all else being well.
    fn reason(&mut self, vote: impl FnOnce() -> Option<String>, now: Instant) -> Option<String> {
        if self.over {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let reason = vote().filter(|_| now.saturating_duration_since(since) < VOTE_PATIENCE);
        self.over = reason.is_none();
        reason
    }
}

/// Why a group is not ready: a read confirmed by its leader, and applied here, means that it is.
async fn confirm<M: Machine>(group: &Group<M>) -> Option<String> {
    let id = group.id();
    match timeout(CONFIRMATION, group.read_barrier()).await {
        Ok(Ok(())) => None,
        outcome => {
            let status = group.status();
            Some(match (status.failure, status.leader, outcome) {
                (Some(failure), ..) => format!("group {id} has stopped: {failure}"),
                (None, None, _) => format!("group {id} has no leader"),
                (None, Some(_), Ok(Err(error))) => error.to_string(),
                (None, Some(leader), _) => format!("group {id}: node {leader}, its leader, does not confirm reads"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_waits_for_its_vote_only_at_its_start_and_not_for_ever() {
        let start = Instant::now();
        let missing = || Some("no vote".to_owned());
        let mut waiting = Waiting::default();
        assert_eq!(waiting.reason(missing, start), missing());
        assert_eq!(waiting.reason(|| None, start), None);
        assert_eq!(waiting.reason(missing, start), None, "it serves already");

        let mut waiting = Waiting::default();
        assert_eq!(waiting.reason(missing, start), missing());
        assert_eq!(waiting.reason(missing, start + VOTE_PATIENCE), None);
    }
}
