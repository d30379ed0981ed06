//! Judge: once all faults are healed, the cluster recovers by itself, within a bounded time. Every node is ready, each
//! group has one leader whom all its replicas know, nothing is below its redundancy, and new work succeeds through
//! every node. Source: TigerBeetle's VOPR, which demands liveness of the core after the safety phase; section 9 of the
//! design.
//!
//! What is missing is said by a pure function, [`missing`]; [`revive`] waits until nothing is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::group::Role;
use tokio::time::{Instant, sleep};

use crate::cluster::Report;
use crate::workload::{Workload, new_work};

/// Name of the judge.
const JUDGE: &str = "liveness";
/// How long recovery may take, in virtual time: restarts, elections, catching up, and the re-encoding of everything
/// below its redundancy, which rests half a minute after each failure.
pub const BOUND: Duration = Duration::from_mins(5);
/// How long new work through all nodes may take after that.
pub const NEW_WORK_BOUND: Duration = Duration::from_mins(1);
/// How often it is looked.
const POLL: Duration = Duration::from_millis(250);

/// What one node says of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// Name of the group.
    pub group: String,
    /// Raft id of this replica's leader, as far as it knows.
    pub leader: Option<u64>,
    /// Whether it leads itself.
    pub leads: bool,
    /// Why its replica has stopped, if it has.
    pub failure: Option<String>,
}

/// What is known of a node that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// It takes requests.
    pub ready: bool,
    /// Its groups.
    pub groups: Vec<GroupFacts>,
    /// Extents below their redundancy, as it knows.
    pub under_replicated: u64,
}

impl NodeFacts {
    /// What a simulated node was last seen to be; `None` while it does not run.
    #[must_use]
    pub fn of(report: &Report) -> Option<Self> {
        let groups = report.groups.iter().map(|status| GroupFacts {
            group: status.group.to_string(),
            leader: status.leader.map(|leader| leader.0),
            leads: status.role == Role::Leader,
            failure: status.failure.clone(),
        });
        report.running.then(|| Self {
            ready: report.ready,
            groups: groups.collect(),
            under_replicated: report.under_replicated,
        })
    }
}

/// The members by number; `None` for one that does not run.
pub type Nodes = BTreeMap<usize, Option<NodeFacts>>;
/// Looks at all members.
pub type Facts = Arc<dyn Fn() -> Nodes + Send + Sync>;

/// What a cluster lacks to be well, in words. Empty when it is.
#[must_use]
pub fn missing(nodes: &Nodes) -> Vec<String> {
    let mut missing = Vec::new();
    for (number, facts) in nodes {
        match facts {
            None => missing.push(format!("node {number} does not run")),
            Some(facts) if !facts.ready => missing.push(format!("node {number} is not ready")),
            Some(facts) if facts.under_replicated > 0 => {
                missing.push(format!("node {number} knows {} extents below their redundancy", facts.under_replicated));
            }
            Some(_) => {}
        }
    }
    let running = || nodes.iter().filter_map(|(number, facts)| Some((*number, facts.as_ref()?)));
    let groups: BTreeSet<&str> =
        running().flat_map(|(_, facts)| facts.groups.iter().map(|group| group.group.as_str())).collect();
    if groups.is_empty() {
        missing.push("no node knows of any group".to_owned());
    }
    for name in groups {
        let find = |facts: &'_ NodeFacts| facts.groups.iter().find(|group| group.group == name).cloned();
        let replicas: BTreeMap<usize, Option<GroupFacts>> =
            running().map(|(number, facts)| (number, find(facts))).collect();
        in_group(name, &replicas, &mut missing);
    }
    missing
}

fn in_group(name: &str, replicas: &BTreeMap<usize, Option<GroupFacts>>, missing: &mut Vec<String>) {
    let mut known: BTreeMap<Option<u64>, Vec<usize>> = BTreeMap::new();
    for (number, replica) in replicas {
        match replica {
            None => missing.push(format!("node {number} has no replica of {name}")),
            Some(GroupFacts { failure: Some(failure), .. }) => {
                missing.push(format!("the replica of {name} on node {number} has stopped: {failure}"));
            }
            Some(replica) => known.entry(replica.leader).or_default().push(*number),
        }
    }
    let leading: Vec<usize> = replicas
        .iter()
        .filter(|(_, replica)| replica.as_ref().is_some_and(|replica| replica.leads))
        .map(|(number, _)| *number)
        .collect();
    if leading.len() != 1 {
        missing.push(format!("{name} is led by the nodes {leading:?}"));
    }
    if known.len() != 1 || known.contains_key(&None) {
        missing.push(format!("the leader of {name} is not agreed on: {known:?}"));
    }
}

/// Waits until the cluster is well, then pushes through every node and pulls through every other one. Accuses with what
/// is missing when the first takes longer than `bound`, the second longer than [`NEW_WORK_BOUND`]. Returns the time
/// until the cluster was well; `None` if it did not come to that, or if somebody is accused.
pub async fn revive(work: &Workload, facts: &Facts, bound: Duration) -> Option<Duration> {
    let begun = Instant::now();
    loop {
        let missing = missing(&facts());
        if missing.is_empty() {
            break;
        }
        if work.court.first().is_some() {
            return None;
        }
        if begun.elapsed() >= bound {
            let text = format!("{} s after all was healed: {}", begun.elapsed().as_secs(), missing.join("; "));
            work.court.accuse(JUDGE, text);
            return None;
        }
        sleep(POLL).await;
    }
    let took = begun.elapsed();
    new_work(work, NEW_WORK_BOUND).await;
    work.court.first().is_none().then_some(took)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::testing::{Registry, Trick, configuration, workload};

    fn replica(group: &str, leader: Option<u64>, leads: bool) -> GroupFacts {
        GroupFacts { group: group.to_owned(), leader, leads, failure: None }
    }

    fn well() -> Nodes {
        let node = |number: u64| {
            let groups = vec![replica("directory", Some(7), number == 2), replica("catalog-1", Some(5), number == 1)];
            Some(NodeFacts { ready: true, groups, under_replicated: 0 })
        };
        (1..=3).map(|number| (number, node(number as u64))).collect()
    }

    fn with(change: impl FnOnce(&mut Nodes)) -> Vec<String> {
        let mut nodes = well();
        change(&mut nodes);
        missing(&nodes)
    }

    #[test]
    fn a_cluster_that_is_well_lacks_nothing() {
        assert_eq!(missing(&well()), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(with(|nodes| *nodes.get_mut(&3).unwrap() = None), ["node 3 does not run"]);
        assert_eq!(with(|nodes| nodes.get_mut(&3).unwrap().as_mut().unwrap().ready = false), ["node 3 is not ready"]);
        assert_eq!(
            with(|nodes| nodes.get_mut(&1).unwrap().as_mut().unwrap().under_replicated = 4),
            ["node 1 knows 4 extents below their redundancy"]
        );
        assert_eq!(
            with(|nodes| nodes.get_mut(&2).unwrap().as_mut().unwrap().groups.truncate(1)),
            ["node 2 has no replica of catalog-1"]
        );
        assert_eq!(
            with(|nodes| nodes.get_mut(&3).unwrap().as_mut().unwrap().groups[1].failure = Some("disk full".to_owned())),
            ["the replica of catalog-1 on node 3 has stopped: disk full"]
        );
        assert_eq!(missing(&Nodes::from([(1, None)])), ["node 1 does not run", "no node knows of any group"]);
    }

    #[test]
    fn leaders_must_be_one_and_known_to_all() {
        assert_eq!(
            with(|nodes| nodes.get_mut(&3).unwrap().as_mut().unwrap().groups[0].leads = true),
            ["directory is led by the nodes [2, 3]"]
        );
        assert_eq!(
            with(|nodes| nodes.get_mut(&3).unwrap().as_mut().unwrap().groups[0].leader = None),
            ["the leader of directory is not agreed on: {None: [3], Some(7): [1, 2]}"]
        );
        let nobody = with(|nodes| {
            for node in nodes.values_mut().flatten() {
                node.groups[0] = replica("directory", None, false);
            }
        });
        assert_eq!(
            nobody,
            ["directory is led by the nodes []", "the leader of directory is not agreed on: {None: [1, 2, 3]}"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_recovers_in_time_passes() {
        let (work, _registry) = workload(&configuration(1), |_, _| Trick::Right);
        let begun = Instant::now();
        let facts: Facts = Arc::new(move || {
            let mut nodes = well();
            let first = nodes.get_mut(&1).unwrap();
            *first = first.take().filter(|_| begun.elapsed() >= Duration::from_secs(30));
            nodes
        });
        let took = revive(&work, &facts, BOUND).await;
        assert_eq!(took.map(|took| took.as_secs()), Some(30));
        assert_eq!(work.court.first(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_recover_is_accused_with_what_is_missing() {
        let (work, _registry) = workload(&configuration(1), |_, _| Trick::Right);
        let facts: Facts = Arc::new(|| Nodes::from([(1, None)]));
        assert_eq!(revive(&work, &facts, BOUND).await, None);
        let violation = work.court.first().unwrap();
        assert_eq!(violation.text, "300 s after all was healed: node 1 does not run; no node knows of any group");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_looks_well_and_does_no_work_is_accused() {
        let (work, registry) = workload(&configuration(1), |_, _| Trick::Right);
        Registry::fall_silent(&registry);
        let facts: Facts = Arc::new(well);
        assert_eq!(revive(&work, &facts, BOUND).await, None);
        assert_eq!(work.court.first().unwrap().judge, JUDGE);
    }
}
