//! Liveness between nodes over a network in memory.

use std::time::Duration;

use raft::directory::{DiskRecord, DiskState, NodeState};
use raft::id::{GroupId, NodeId};
use tokio::time::{Instant, timeout};

use super::Members;
use super::testing::FixedSource;
use crate::peer::Trust;
use crate::peer::testing::{MemoryNetwork, TestNode};

/// Waits until the members are as expected.
async fn until(members: &Members, what: &str, mut condition: impl FnMut(&Members) -> bool) {
    let mut changes = members.changes();
    let reached = timeout(Duration::from_secs(20), async {
        while !condition(members) {
            let _ = timeout(Duration::from_millis(200), changes.changed()).await;
        }
    });
    assert!(reached.await.is_ok(), "{what}: {:?}", members.all());
}

fn live(members: &Members) -> Vec<u64> {
    members.live().iter().map(|member| member.id.0).collect()
}

async fn three(network: &MemoryNetwork, source: &FixedSource) -> [TestNode; 3] {
    let one = TestNode::start(network, source, 1, Trust::Claim).await;
    let two = TestNode::start(network, source, 2, Trust::Claim).await;
    let three = TestNode::start(network, source, 3, Trust::Claim).await;
    [one, two, three]
}

#[tokio::test]
async fn nodes_find_each_other_and_tell_their_disks() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
    let nodes = three(&network, &source).await;
    for node in &nodes {
        until(&node.members, "all live", |members| live(members) == [1, 2, 3]).await;
    }
    until(&nodes[0].members, "disks told", |members| members.all().iter().all(super::Member::takes_shards)).await;
    let two = nodes[0].members.get(NodeId(2)).unwrap();
    assert_eq!(two.disks[0].id, nodes[1].disks.all()[0].id());
    assert!(two.disks[0].capacity_bytes > 0);
    assert_eq!(two.version, "test");
    assert_eq!(two.applied.get(&GroupId::Directory), Some(&42));
    assert_eq!(nodes[0].members.address(NodeId(2)).as_deref(), Some("node-2"));
}

#[tokio::test]
async fn a_node_not_heard_from_is_not_live_but_oneself_always_is() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    assert_eq!(live(&one.members), [1]);
    assert!(one.members.is_live(NodeId(1)));
    assert!(!one.members.is_live(NodeId(2)));
    let two = one.members.get(NodeId(2)).unwrap();
    assert!(!two.takes_shards());
    assert!(one.members.get(NodeId(1)).unwrap().takes_shards());
}

#[tokio::test]
async fn each_node_knows_whether_any_serves_clients() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
    let mut nodes = three(&network, &source).await;
    for node in &nodes {
        until(&node.members, "all live", |members| live(members) == [1, 2, 3]).await;
        assert!(!node.members.clients_are_served());
    }
    let client = nodes[1].members.clients().arrive();
    for node in &nodes {
        until(&node.members, "the client is known", Members::clients_are_served).await;
    }
    drop(client);
    until(&nodes[0].members, "the client is gone", |members| !members.clients_are_served()).await;
    let _client = nodes[2].members.clients().arrive();
    until(&nodes[0].members, "the next one is known", Members::clients_are_served).await;
    nodes[2].stop_serving();
    until(&nodes[0].members, "a dead node serves nobody", |members| !members.clients_are_served()).await;
}

#[tokio::test]
async fn a_dead_peer_is_noticed_and_comes_back() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
    let mut nodes = three(&network, &source).await;
    until(&nodes[0].members, "all live", |members| live(members) == [1, 2, 3]).await;
    nodes[2].stop_serving();
    let stopped = Instant::now();
    until(&nodes[0].members, "node 3 dead", |members| live(members) == [1, 2]).await;
    assert!(stopped.elapsed() < Duration::from_secs(10), "also on a busy machine");
    nodes[2].serve().await;
    until(&nodes[0].members, "node 3 back", |members| live(members) == [1, 2, 3]).await;
}

#[tokio::test]
async fn a_silent_peer_is_dead_after_two_seconds_and_comes_back() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    until(&one.members, "all live", |members| live(members) == [1, 2]).await;
    two.freeze(true);
    let frozen = Instant::now();
    until(&one.members, "node 2 dead", |members| live(members) == [1]).await;
    let silence = frozen.elapsed();
    assert!(silence > Duration::from_millis(1500) && silence < Duration::from_secs(10), "{silence:?}");
    two.freeze(false);
    until(&one.members, "node 2 back", |members| live(members) == [1, 2]).await;
}

#[tokio::test]
async fn a_reported_failure_counts_until_a_heartbeat_answers() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let _two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    until(&one.members, "all live", |members| live(members) == [1, 2]).await;
    let changes = one.members.changes();
    let before = *changes.borrow();
    one.members.report_failure(NodeId(2));
    assert!(!one.members.is_live(NodeId(2)));
    assert!(*changes.borrow() > before);
    until(&one.members, "cleared", |members| live(members) == [1, 2]).await;
}

#[tokio::test]
async fn draining_and_removed_nodes_get_no_shards() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
    let nodes = three(&network, &source).await;
    until(&nodes[0].members, "all live", |members| live(members) == [1, 2, 3]).await;
    source.change(2, |record| record.state = NodeState::Draining);
    source.change(3, |record| record.state = NodeState::Removed);
    until(&nodes[0].members, "seen", |members| members.all().len() == 2).await;
    let two = nodes[0].members.get(NodeId(2)).unwrap();
    assert!(two.live && two.draining && !two.takes_shards());
    assert!(two.disks.iter().all(|disk| !disk.writable));
    assert!(!nodes[0].members.is_live(NodeId(3)));
    assert_eq!(nodes[0].peers.address(NodeId(3)), None);
}

#[tokio::test]
async fn a_stray_clock_shows() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let mut two = TestNode::prepare(&network, &source, 2, Trust::Claim, 1_000_000 + 90_000).await;
    two.serve().await;
    until(&one.members, "all live", |members| live(members) == [1, 2]).await;
    let offset = one.members.clock_offsets()[&NodeId(2)];
    assert!((85_000..=90_000).contains(&offset), "{offset}");
    until(&two.members, "all live", |members| live(members) == [1, 2]).await;
    let offset = two.members.clock_offsets()[&NodeId(1)];
    assert!((-95_000..=-90_000).contains(&offset), "{offset}");
}

#[tokio::test]
async fn a_new_address_is_used() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    source.change(2, |record| record.info.peer_address = "elsewhere".to_owned());
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let _two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    assert!(!one.members.is_live(NodeId(2)));
    source.change(2, |record| record.info.peer_address = "node-2".to_owned());
    until(&one.members, "found", |members| live(members) == [1, 2]).await;
}

#[tokio::test]
async fn a_node_knows_that_it_is_the_only_one_only_once_that_is_confirmed() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1]));
    source.confirms(false);
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!one.members.is_confirmed() && !one.members.is_sole());
    assert_eq!(one.members.all().len(), 1);
    source.confirms(true);
    until(&one.members, "confirmed", Members::is_sole).await;
    assert!(one.members.is_confirmed());
}

#[tokio::test]
async fn a_joining_node_counts_for_nothing_until_it_runs() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    source.change(2, |record| record.state = NodeState::Joining);
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    until(&one.members, "alone", Members::is_sole).await;
    assert_eq!(one.members.all().len(), 1);
    assert!(one.members.clocks_agree(Duration::from_secs(30)));
    let _two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    until(&one.members, "node 2 answers", |members| members.is_live(NodeId(2))).await;
    assert!(one.members.is_sole() && one.members.get(NodeId(2)).is_none());
    source.change(2, |record| record.state = NodeState::Active);
    until(&one.members, "both", |members| live(members) == [1, 2]).await;
    assert!(!one.members.is_sole());
    source.change(2, |record| record.state = NodeState::Draining);
    until(&one.members, "draining", |members| members.all()[1].draining).await;
    assert!(!one.members.is_sole(), "what it holds is still needed");
}

#[tokio::test]
async fn clocks_agree_when_most_nodes_say_the_same_time() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
    let limit = Duration::from_secs(30);
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let mut two = TestNode::prepare(&network, &source, 2, Trust::Claim, 1_000_000 + 90_000).await;
    two.serve().await;
    until(&one.members, "two answer", |members| live(members) == [1, 2] && members.is_confirmed()).await;
    assert!(!one.members.clocks_agree(limit));
    let _three = TestNode::start(&network, &source, 3, Trust::Claim).await;
    until(&one.members, "all answer", |members| live(members) == [1, 2, 3]).await;
    assert!(one.members.clocks_agree(limit));
    until(&two.members, "all answer", |members| live(members) == [1, 2, 3]).await;
    assert!(!two.members.clocks_agree(limit));
}

#[tokio::test]
async fn a_removed_node_learns_it_from_its_directory() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    assert!(!two.members.is_dismissed());
    source.change(2, |record| record.state = NodeState::Removed);
    let reason = timeout(Duration::from_secs(20), two.members.dismissed()).await.unwrap();
    assert_eq!(reason, "the directory says so");
    assert!(two.members.is_dismissed());
}

#[tokio::test]
async fn a_removed_node_learns_it_from_the_others() {
    let network = MemoryNetwork::default();
    let (known, stale) = (FixedSource::of(&[1, 2]), FixedSource::of(&[1, 2]));
    known.change(2, |record| record.state = NodeState::Removed);
    let _one = TestNode::start(&network, &known, 1, Trust::Claim).await;
    let two = TestNode::start(&network, &stale, 2, Trust::Claim).await;
    let reason = timeout(Duration::from_secs(20), two.members.dismissed()).await.unwrap();
    assert_eq!(reason, "node 1 says so");
}

#[tokio::test]
async fn a_disk_that_an_operator_took_out_takes_no_shards() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1]));
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let disk = one.disks.all()[0].id();
    let own = |members: &Members| members.get(NodeId(1)).unwrap();
    assert!(own(&one.members).takes_shards());
    let state = DiskState::Draining;
    source.change(1, |record| record.disks = vec![DiskRecord { id: disk, capacity_bytes: 1, state }]);
    until(&one.members, "the disk is out of use", |members| !own(members).takes_shards()).await;
    assert_eq!(own(&one.members).disk_state(disk), DiskState::Draining);
}
