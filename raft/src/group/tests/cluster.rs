//! Three and four replicas: elections, forwarding, linearizable reads, members, snapshots, catching up.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::harness::{Cluster, Machines, leader, retry, wait_for};
use super::toy::{Count, count, value};
use crate::group::{COMMAND_LIMIT_BYTES, ProposeError, Role};
use crate::id::NodeId;

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_leads_at_once_and_again_after_a_restart() {
    let cluster = Cluster::new(Machines::rocks());
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    for number in 1..=20 {
        assert_eq!(node.set("key", format!("{number}")).await.unwrap(), Count(number));
    }
    node.group.initialize().await.unwrap();
    node.stop().await;
    let node = cluster.start(1).await;
    assert_eq!(node.set("other", "value").await.unwrap(), Count(21));
    node.group.read_barrier().await.unwrap();
    assert_eq!(value(node.group.state().as_ref(), "key").unwrap(), "20");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_peers_would_not_take_is_refused_for_good() {
    let cluster = Cluster::new(Machines::memory().0);
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    assert_eq!(node.set("key", vec![0; 16 << 20]).await.unwrap(), Count(1));
    let error = node.set("key", vec![0; COMMAND_LIMIT_BYTES]).await.unwrap_err();
    assert!(matches!(error, ProposeError::TooLarge { .. }), "{error}");
    assert!(!error.is_retryable() && !error.may_have_had_effect());
    assert_eq!(node.set("other", "value").await.unwrap(), Count(2));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_through_any_node_is_read_through_every_other() {
    let cluster = Cluster::new(Machines::rocks());
    let nodes = cluster.start_voters(3).await;
    for round in 0..30 {
        let (writer, reader) = (&nodes[round % 3], &nodes[(round + 1) % 3]);
        writer.set("tag", format!("{round}")).await.unwrap();
        reader.group.read_barrier().await.unwrap();
        assert_eq!(value(reader.group.state().as_ref(), "tag").unwrap(), format!("{round}"));
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_cut_off_another_takes_over_and_it_serves_no_reads() {
    let cluster = Cluster::new(Machines::memory().0);
    let nodes = cluster.start_voters(3).await;
    let all: Vec<_> = nodes.iter().collect();
    let old = leader(&all).await;
    cluster.net.isolate(nodes[old].group.options.node);
    let others: Vec<_> = all.iter().enumerate().filter(|(index, _)| *index != old).map(|(_, node)| *node).collect();
    // Waits out the election by itself.
    others[0].set("key", "new").await.unwrap();
    others[1].group.read_barrier().await.unwrap();
    assert_eq!(value(others[1].group.state().as_ref(), "key").unwrap(), "new");
    let (read, write) = tokio::join!(nodes[old].group.read_barrier(), nodes[old].set("key", "lost"));
    assert!(read.unwrap_err().is_retryable());
    assert!(write.unwrap_err().is_retryable());
    cluster.net.heal();
    nodes[old].group.read_barrier().await.unwrap();
    assert_eq!(value(nodes[old].group.state().as_ref(), "key").unwrap(), "new");
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over() {
    let cluster = Cluster::new(Machines::memory().0);
    let nodes = cluster.start_voters(3).await;
    let all: Vec<_> = nodes.iter().collect();
    let old = leader(&all).await;
    let to = nodes[(old + 1) % 3].group.options.node;
    nodes[old].group.transfer_leadership(to).await.unwrap();
    assert_eq!(leader(&all).await, (old + 1) % 3);
    nodes[old].set("key", "value").await.unwrap();
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_learner_gets_a_snapshot_and_becomes_a_voter() {
    for machines in [Machines::rocks(), Machines::memory().0] {
        let mut cluster = Cluster::new(machines);
        cluster.snapshot_after_entries = 40;
        let mut nodes = cluster.start_voters(3).await;
        for number in 0..200 {
            nodes[0].set(&format!("key-{number}"), vec![7; 2000]).await.unwrap();
        }
        let all: Vec<_> = nodes.iter().collect();
        let leading = leader(&all).await;
        wait_for("a purge", || nodes[leading].group.status().purged_index.is_some_and(|index| index > 100)).await;
        assert_eq!(cluster.net.snapshots_sent(), 0);

        nodes.push(cluster.start(4).await);
        let new = NodeId(4);
        retry("adding a learner", || nodes[leading].group.add_learner(new, "node-4".to_owned())).await;
        wait_for("the learner to catch up", || {
            count(nodes[3].group.state().as_ref()) == 200 && nodes[leading].group.status().lag.get(&new) == Some(&0)
        })
        .await;
        assert!(cluster.net.snapshots_sent() > 0);
        assert_eq!(nodes[3].group.status().role, Role::Learner);
        assert_eq!(value(nodes[3].group.state().as_ref(), "key-0").unwrap(), vec![7; 2000]);

        let voters: BTreeSet<NodeId> = [1, 2, 3, 4].map(NodeId).into();
        retry("changing voters", || nodes[leading].group.change_voters(voters.clone())).await;
        retry("removing a voter", || nodes[leading].group.remove(nodes[(leading + 1) % 3].group.options.node)).await;
        let status = nodes[leading].group.status();
        assert_eq!((status.voters.len(), status.learners.len()), (3, 0));
        assert!(status.voters.contains(&new));
        nodes[3].set("last", "one").await.unwrap();

        // What came by a snapshot is there after a restart, and so is a snapshot to give away.
        let restarted = nodes.pop().unwrap();
        restarted.stop().await;
        let restarted = cluster.start(4).await;
        restarted.group.read_barrier().await.unwrap();
        assert_eq!(count(restarted.group.state().as_ref()), 201);
        assert!(restarted.group.status().snapshot_index.is_some());
        restarted.stop().await;
        for node in nodes {
            node.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_catches_up_over_maximal_entries() {
    let cluster = Cluster::new(Machines::rocks());
    let mut nodes = cluster.start_voters(3).await;
    let behind = nodes.pop().unwrap();
    behind.stop().await;
    let maximal = Bytes::from(vec![3; 4 << 20]);
    for number in 0..20 {
        nodes[0].set(&format!("manifest-{number}"), maximal.clone()).await.unwrap();
    }
    let behind = cluster.start(3).await;
    wait_for("the follower to catch up", || count(behind.group.state().as_ref()) == 20).await;
    behind.group.read_barrier().await.unwrap();
    assert_eq!(value(behind.group.state().as_ref(), "manifest-19").unwrap(), maximal);
    assert_eq!(cluster.net.snapshots_sent(), 0);
    behind.stop().await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_the_old_state_stays_usable_when_a_snapshot_replaces_it() {
    let mut cluster = Cluster::new(Machines::rocks());
    cluster.snapshot_after_entries = 20;
    let nodes = cluster.start_voters(3).await;
    nodes[0].set("key", "old").await.unwrap();
    let all: Vec<_> = nodes.iter().collect();
    let leading = leader(&all).await;
    let follower = &nodes[(leading + 1) % 3];
    follower.group.read_barrier().await.unwrap();
    let view = follower.group.state();
    cluster.net.isolate(follower.group.options.node);
    for _ in 0..100 {
        nodes[leading].set("key", "new").await.unwrap();
    }
    wait_for("a purge", || nodes[leading].group.status().purged_index.is_some_and(|index| index > 50)).await;
    cluster.net.heal();
    wait_for("the snapshot", || count(follower.group.state().as_ref()) == 101).await;
    assert!(cluster.net.snapshots_sent() > 0);
    assert_eq!(value(view.as_ref(), "key").unwrap(), "old");
    drop(view);
    for node in nodes {
        node.stop().await;
    }
}
