//! What a witness is told, in which order, and that it is told the same of all replicas.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::harness::{Cluster, GROUP, Machines, leader, wait_for};
use crate::group::{Ballot, Position, Replica, Restoration, Witness};
use crate::id::NodeId;

/// Keeps what it was told.
#[derive(Debug, Default)]
struct Notes {
    lines: Mutex<Vec<(Replica, String)>>,
    applied: Mutex<BTreeMap<(Replica, u64), [u8; 32]>>,
}

impl Notes {
    fn note(&self, replica: Replica, line: String) {
        self.lines.lock().unwrap().push((replica, line));
    }

    fn of(&self, node: u64) -> Vec<String> {
        let replica = Replica { group: GROUP, node: NodeId(node) };
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|(of, _)| *of == replica).map(|(_, line)| line.clone()).collect()
    }

    fn digests(&self, node: u64) -> Vec<(u64, [u8; 32])> {
        let applied = self.applied.lock().unwrap();
        applied
            .iter()
            .filter(|((of, _), _)| of.node == NodeId(node))
            .map(|((_, index), hash)| (*index, *hash))
            .collect()
    }
}

impl Witness for Notes {
    fn opened(&self, replica: Replica, vote: Option<Ballot>, purged: Option<Position>, entries: &[Position]) {
        let count = entries.len();
        self.note(replica, format!("opened vote={} purged={} entries={count}", vote.is_some(), purged.is_some()));
    }

    fn voted(&self, replica: Replica, vote: Ballot) {
        self.note(replica, format!("voted {} committed={}", vote.leadership, vote.committed));
    }

    fn appended(&self, replica: Replica, entries: &[Position]) {
        self.note(replica, format!("appended {}", entries.last().unwrap().index));
    }

    fn persisted(&self, replica: Replica, last: Position) {
        self.note(replica, format!("persisted {}", last.index));
    }

    fn truncated(&self, replica: Replica, from_index: u64) {
        self.note(replica, format!("truncated {from_index}"));
    }

    fn purged(&self, replica: Replica, last: Position) {
        self.note(replica, format!("purged {}", last.index));
    }

    fn applied(&self, replica: Replica, entry: Position, digest: &dyn Fn() -> [u8; 32]) {
        self.applied.lock().unwrap().insert((replica, entry.index), digest());
    }

    fn flushed(&self, replica: Replica, applied: Position) {
        self.note(replica, format!("flushed {}", applied.index));
    }

    fn restored(&self, replica: Replica, applied: Option<Position>, restoration: Restoration) {
        self.note(replica, format!("{restoration:?} {:?}", applied.map(|position| position.index)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_learns_the_same_of_all_replicas_and_they_come_to_the_same_state() {
    let notes = Arc::new(Notes::default());
    let mut cluster = Cluster::new(Machines::memory().0);
    cluster.witness = Some(notes.clone());
    let nodes = cluster.start_voters(3).await;
    for number in 0..20 {
        nodes[0].set(&format!("key-{number}"), "value").await.unwrap();
    }
    let index = nodes[leader(&nodes.iter().collect::<Vec<_>>()).await].group.status().applied_index;
    for node in &nodes {
        wait_for("all entries", || node.group.status().applied_index >= index).await;
        node.group.read_barrier().await.unwrap();
    }
    let digests: Vec<_> = nodes.iter().map(|node| node.group.state_digest().unwrap()).collect();
    assert!(digests[0].rows > 20 && digests[0].applied.is_some());
    assert_eq!((digests[0], digests[0]), (digests[1], digests[2]));
    nodes[0].set("key-0", "other").await.unwrap();
    assert_ne!(nodes[0].group.state_digest().unwrap().hash, digests[0].hash);
    for node in nodes {
        node.stop().await;
    }
    let common = notes.digests(1).len().min(notes.digests(2).len()).min(notes.digests(3).len());
    assert!(common > 20);
    assert_eq!(notes.digests(1)[..common], notes.digests(2)[..common]);
    assert_eq!(notes.digests(1)[..common], notes.digests(3)[..common]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_is_told_of_a_life_in_order() {
    let notes = Arc::new(Notes::default());
    let mut cluster = Cluster::new(Machines::memory().0);
    cluster.witness = Some(notes.clone());
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    node.set("key", "value").await.unwrap();
    let applied = node.group.state_digest().unwrap().applied.unwrap().index;
    node.stop().await;
    let node = cluster.start(1).await;
    node.group.read_barrier().await.unwrap();
    node.stop().await;
    let lines = notes.of(1);
    let place =
        |line: &str| lines.iter().position(|other| other == line).unwrap_or_else(|| panic!("{line}: {lines:?}"));
    assert_eq!(place("Opened None"), 0);
    assert!(place("opened vote=false purged=false entries=0") < place("voted term 1 of node 1 committed=true"));
    assert!(place(&format!("appended {applied}")) < place(&format!("persisted {applied}")));
    assert!(place(&format!("persisted {applied}")) < place(&format!("flushed {applied}")));
    assert!(place(&format!("flushed {applied}")) < place(&format!("Opened Some({applied})")));
    let entries = applied + 1;
    assert!(lines.contains(&format!("opened vote=true purged=false entries={entries}")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_is_told_of_snapshots_and_purges() {
    let notes = Arc::new(Notes::default());
    let mut cluster = Cluster::new(Machines::memory().0);
    cluster.snapshot_after_entries = 20;
    cluster.witness = Some(notes.clone());
    let nodes = cluster.start_voters(1).await;
    for number in 0..200 {
        nodes[0].set("key", format!("{number}")).await.unwrap();
    }
    wait_for("a purge", || notes.of(1).iter().any(|line| line.starts_with("purged"))).await;
    let late = cluster.start(2).await;
    super::harness::retry("adding a learner", || nodes[0].group.add_learner(NodeId(2), "node-2".to_owned())).await;
    wait_for("a snapshot", || notes.of(2).iter().any(|line| line.starts_with("Installed Some"))).await;
    late.stop().await;
    for node in nodes {
        node.stop().await;
    }
}
