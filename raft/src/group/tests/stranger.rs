//! A replica that has heard from its leader, and not yet who the members are: so it is while it is being taken in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::harness::{Cluster, GROUP, Machines, retry, wait_for};
use super::storage_suite::{NoClock, NoTransport};
use super::toy::{Toy, value};
use crate::codec;
use crate::group::core::NO_READS;
use crate::group::incarnation::Incarnation;
use crate::group::log_store::LogStore;
use crate::group::message::{Addressed, Append, Request};
use crate::group::record::{LeaderRecord, VoteRecord};
use crate::group::{Group, GroupOptions, GroupResources, ReadError};
use crate::id::NodeId;

/// How long is looked whether anything is given up that should wait.
const LOOK: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(20);

/// Lets a replica hear from its leader, which has a snapshot to send.
async fn hear(group: &Group<Toy>, leader: LeaderRecord) {
    let vote = VoteRecord { leader, committed: true };
    let append = Append { vote, previous: None, entries: Vec::new(), committed: None };
    let beat = Addressed { incarnation: Incarnation::default(), request: Request::Append(append) };
    group.handle(Bytes::from(codec::encode(&beat))).await.unwrap();
    wait_for("it to know its leader", || group.leader() == Some(NodeId(leader.node))).await;
    assert!(group.status().addresses.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_replica_before_it_knows_the_members_waits_until_it_does() {
    let cluster = Cluster::new(Machines::memory().0);
    let (one, two) = (cluster.start(1).await, cluster.start(2).await);
    one.group.initialize().await.unwrap();
    one.set("key", "value").await.unwrap();
    hear(&two.group, LeaderRecord { term: one.group.status().term, node: 1 }).await;
    let mut early = Box::pin(async { tokio::join!(two.group.read_barrier(), two.set("early", "yes")) });
    assert!(timeout(LOOK, &mut early).await.is_err(), "neither is answered or given up");

    retry("taking it in", || one.group.add_learner(NodeId(2), "node-2".to_owned())).await;
    let (read, written) = early.await;
    read.unwrap();
    written.unwrap();
    two.group.read_barrier().await.unwrap();
    let shown = |key| value(two.group.state().as_ref(), key).unwrap();
    assert_eq!((shown("key"), shown("early")), ("value".into(), "yes".into()));
    two.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_reads_have_panicked_counts_as_stopped() {
    let machines = Machines::memory().0;
    let engines = Arc::clone(&machines.engines);
    let exec = storage::exec::Exec::threads();
    let log = LogStore::open(Arc::clone(&engines), &machines.path("log"), exec).await.unwrap();
    let resources = GroupResources {
        log: Arc::clone(&log),
        engines,
        files: Arc::clone(&machines.files),
        exec,
        clock: Arc::new(NoClock),
        // Its calls panic.
        transport: Arc::new(NoTransport),
        witness: None,
    };
    let options = GroupOptions::new(GROUP, NodeId(2), "node-2", machines.path("group"));
    let group = Group::<Toy>::open(options, resources).await.unwrap();
    hear(&group, LeaderRecord { term: 1, node: 1 }).await;
    assert!(timeout(LOOK, group.failed()).await.is_err(), "so far it is sound");
    let read = group.read_barrier().await;
    assert!(matches!(read, Err(ReadError::Stopped { .. })), "{read:?}");
    // So the node ends and starts anew; otherwise it would stay, and answer nobody.
    assert_eq!(timeout(DEADLINE, group.failed()).await.unwrap(), NO_READS);
    group.shutdown().await;
    drop(group);
    log.close().await;
}
