//! Calls between two nodes over a network in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, StatusCode};
use raft::catalog::DiskLocation;
use raft::directory::NodeState;
use raft::group::{Transport, TransportError};
use raft::id::{GroupId, NodeId, RegionId};
use storage::codec::Profile;
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName, checksum};
use tokio::sync::mpsc;

use super::testing::{MemoryNetwork, SLOW_SNAPSHOT, TestNode, address};
use super::{
    AdminAnswer, AdminRequest, Asker, JoinError, JoinRequest, Metrics, PeerError, Peers, Refusal, Security, ShardStep,
    Trust, join, limits,
};
use crate::members::testing::FixedSource;
use crate::shards::Block;

const DEADLINE: Duration = Duration::from_secs(5);
const NAME: ShardName =
    ShardName { object: ObjectId([1; 16]), extent: ExtentIndex(0), attempt: Attempt(7), shard: ShardIndex(0) };

async fn pair() -> (TestNode, TestNode) {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
    let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    (one, two)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, PeerError>) -> Refusal {
    match result {
        Err(PeerError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_group_message_is_carried_there_and_back() {
    let (one, _two) = pair().await;
    let payload = Bytes::from(vec![5; 20 << 20]);
    let answer = one.peers.call(NodeId(2), "", GroupId::Directory, payload.clone(), DEADLINE).await;
    assert_eq!(answer, Ok(payload));
    let unknown = GroupId::Catalog(RegionId(1));
    let answer = one.peers.call(NodeId(2), "", unknown, Bytes::new(), DEADLINE).await;
    assert!(matches!(answer, Err(TransportError::Remote(_))), "{answer:?}");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let (one, _two) = pair().await;
    let payload = Bytes::from(vec![5; limits::MESSAGE_LIMIT_BYTES + limits::FRAMING_BYTES]);
    let answer = one.peers.group_call(NodeId(2), "", GroupId::Directory, payload, DEADLINE).await;
    assert_eq!(refusal(answer), Refusal::Invalid);
}

#[tokio::test]
async fn a_snapshot_is_carried_frame_by_frame() {
    let (one, _two) = pair().await;
    let frames = futures_util::stream::iter((0..40u8).map(|index| Bytes::from(vec![index; 100_000]))).boxed();
    let answer = one.peers.send_snapshot(NodeId(2), "", GroupId::Directory, frames, DEADLINE).await.unwrap();
    assert_eq!(answer.len(), 4_000_000);
    assert_eq!(answer[3_999_999], 39);
}

#[tokio::test]
async fn a_stalled_snapshot_is_given_up() {
    let (one, _two) = pair().await;
    let frames = futures_util::stream::pending().boxed();
    let idle = Duration::from_millis(100);
    let answer = one.peers.send_snapshot(NodeId(2), "", GroupId::Directory, frames, idle).await;
    assert_eq!(answer, Err(TransportError::Timeout));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_whole_snapshot_may_take_longer_than_a_frame() {
    let (one, _two) = pair().await;
    let idle = Duration::from_secs(10);
    let frames = futures_util::stream::iter([Bytes::from_static(SLOW_SNAPSHOT)]).boxed();
    let answer = one.peers.send_snapshot(NodeId(2), "", GroupId::Directory, frames, idle).await;
    assert_eq!(answer, Ok(Bytes::from_static(SLOW_SNAPSHOT)));
    // The wait for the next frame is as short as ever.
    let frames =
        futures_util::stream::iter([Bytes::from_static(b"first")]).chain(futures_util::stream::pending()).boxed();
    let begun = tokio::time::Instant::now();
    let answer = one.peers.send_snapshot(NodeId(2), "", GroupId::Directory, frames, idle).await;
    assert_eq!(answer, Err(TransportError::Timeout));
    assert!(begun.elapsed() < 2 * idle, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_refused_connection_is_known_as_not_sent() {
    let (one, mut two) = pair().await;
    two.stop_serving();
    one.peers.reconnect(NodeId(2));
    let answer = one.peers.call(NodeId(2), "", GroupId::Directory, Bytes::new(), DEADLINE).await;
    assert!(matches!(answer, Err(TransportError::Unreachable(_))), "{answer:?}");
    let answer = one.peers.call(NodeId(77), "", GroupId::Directory, Bytes::new(), DEADLINE).await;
    assert!(matches!(answer, Err(TransportError::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn the_address_of_a_group_is_a_hint() {
    let (one, two) = pair().await;
    one.peers.forget(two.id);
    let hint = address(two.id);
    let answer = one.peers.call(two.id, &hint, GroupId::Directory, Bytes::from_static(b"x"), DEADLINE).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"x")));
    assert_eq!(one.peers.address(two.id), Some(hint));
}

#[tokio::test]
async fn an_operators_request_is_carried_there_and_its_answer_back() {
    let (one, mut two) = pair().await;
    let request = |method, length| AdminRequest {
        method,
        path: "/scrub".to_owned(),
        body: Bytes::from(vec![b'x'; length]),
        asker: Asker::Machine,
    };
    let answer = one.peers.administer(NodeId(2), request(Method::POST, 3), DEADLINE).await;
    let expected = AdminAnswer { status: StatusCode::IM_A_TEAPOT, body: Bytes::from_static(b"POST /scrub: xxx") };
    assert_eq!(answer, Ok(expected));
    let other = one.peers.administer(NodeId(2), request(Method::DELETE, 3), DEADLINE).await;
    assert_eq!(refusal(other), Refusal::Invalid);
    let long = one.peers.administer(NodeId(2), request(Method::POST, limits::ADMIN_LIMIT_BYTES + 1), DEADLINE).await;
    assert_eq!(refusal(long), Refusal::Invalid);
    two.stop_serving();
    one.peers.reconnect(NodeId(2));
    let silent = one.peers.administer(NodeId(2), request(Method::GET, 0), DEADLINE).await;
    assert!(matches!(silent, Err(PeerError::Unreachable { .. })), "{silent:?}");
}

#[tokio::test]
async fn a_request_for_another_node_is_refused() {
    let (one, two) = pair().await;
    one.peers.learn(NodeId(3), &address(two.id));
    let answer = one.peers.group_call(NodeId(3), "", GroupId::Directory, Bytes::new(), DEADLINE).await;
    assert_eq!(refusal(answer), Refusal::WrongNode);
}

#[tokio::test]
async fn a_removed_node_is_refused_over_the_connection_that_it_has() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    let removed =
        Peers::new(NodeId(1), RegionId(1), Arc::new(network.clone()), Security::Plaintext, Metrics::default());
    removed.learn(two.id, &address(two.id));
    let call = || removed.group_call(two.id, "", GroupId::Directory, Bytes::new(), DEADLINE);
    call().await.unwrap();
    source.change(1, |record| record.state = NodeState::Removed);
    let refused = async {
        loop {
            if let Err(error) = call().await {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let error = tokio::time::timeout(DEADLINE, refused).await.unwrap();
    assert!(error.to_string().contains("node 1 was removed"), "{error}");
    assert_eq!(refusal::<()>(Err(error)), Refusal::Removed);
}

#[tokio::test]
async fn a_node_does_not_pass_for_one_of_another_region() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    let of = |node, region| {
        let network = Arc::new(network.clone());
        let peers = Peers::new(NodeId(node), RegionId(region), network, Security::Plaintext, Metrics::default());
        peers.learn(two.id, &address(two.id));
        peers
    };
    let directory =
        async |peers: &Peers| peers.group_call(two.id, "", GroupId::Directory, Bytes::new(), DEADLINE).await;
    assert_eq!(refusal(directory(&of(1, 2)).await), Refusal::WrongRegion, "the directory has it in region 1");
    directory(&of(1, 1)).await.unwrap();
    directory(&of(9, 2)).await.unwrap();
}

#[tokio::test]
async fn shards_and_catalogs_stay_in_their_region() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
    source.change(1, |record| record.region = RegionId(2));
    let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
    let network = Arc::new(network.clone());
    let far = Peers::new(NodeId(1), RegionId(2), network, Security::Plaintext, Metrics::default());
    far.learn(two.id, &address(two.id));
    let call = async |region| {
        let group = GroupId::Catalog(RegionId(region));
        far.group_call(two.id, "", group, Bytes::new(), DEADLINE).await
    };
    far.group_call(two.id, "", GroupId::Directory, Bytes::new(), DEADLINE).await.unwrap();
    assert_eq!(refusal(call(1).await), Refusal::WrongRegion);
    let disk = two.disks.all()[0].id();
    assert_eq!(refusal(far.delete_shards(two.id, &[(disk, NAME)]).await), Refusal::WrongRegion);
    // What is known not to belong there is not even sent.
    far.learn_region(two.id, RegionId(1));
    assert!(matches!(call(2).await, Err(PeerError::Unreachable { .. })));
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_refused_everything_but_admission() {
    let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1]));
    let node = TestNode::start(&network, &source, 1, Trust::Certificate).await;
    let stranger =
        Peers::new(NodeId(2), RegionId(1), Arc::new(network.clone()), Security::Plaintext, Metrics::default());
    stranger.learn(node.id, &address(node.id));
    let beat = node.members.beat();
    assert_eq!(refusal(stranger.heartbeat(node.id, &beat, DEADLINE).await), Refusal::Unauthenticated);
    let answer = stranger.group_call(node.id, "", GroupId::Directory, Bytes::new(), DEADLINE).await;
    assert_eq!(refusal(answer), Refusal::Unauthenticated);
    let disk = node.disks.all()[0].id();
    assert_eq!(refusal(stranger.delete_shards(node.id, &[(disk, NAME)]).await), Refusal::Unauthenticated);
    let location = DiskLocation { node: node.id, disk };
    let profile = Profile::new(1, 0).unwrap();
    let (_steps, queue) = mpsc::channel(1);
    let answer = stranger.write_shard(location, NAME, profile, 1024, queue).await;
    assert_eq!(refusal(answer), Refusal::Unauthenticated);
    let geometry = Geometry { profile, block_size_bytes: 1024, length_bytes: 1024 };
    let answer = stranger.read_blocks(location, NAME, geometry, 0..1).await;
    assert_eq!(refusal(answer), Refusal::Unauthenticated);

    let request = |token: &str| JoinRequest {
        token: token.to_owned(),
        certificate_request: Bytes::from_static(b"csr"),
        node: Bytes::from_static(b"node"),
    };
    let ask = |request| join(Arc::new(network.clone()), &Security::Plaintext, "node-1", request, DEADLINE);
    let admitted = ask(request("good")).await.unwrap();
    assert_eq!((admitted.node, admitted.region, admitted.cluster), (NodeId(9), RegionId(1), [7; 16]));
    assert_eq!(admitted.certificates, [Bytes::from_static(b"csr")]);
    assert_eq!(admitted.members, [(NodeId(1), "node-1".to_owned())]);
    assert!(!format!("{admitted:?}").contains("key"), "the cluster key stays out of logs");
    assert!(matches!(ask(request("bad")).await, Err(JoinError::Refused(_))));
    assert!(matches!(ask(request(&"x".repeat(100_000))).await, Err(JoinError::Refused(_))));
    let elsewhere = join(Arc::new(network.clone()), &Security::Plaintext, "nowhere", request("good"), DEADLINE).await;
    assert!(matches!(elsewhere, Err(JoinError::Unavailable(_))));
}

#[tokio::test]
async fn shard_frames_out_of_order_or_beyond_their_limits_are_refused_and_leave_no_file() {
    let (one, two) = pair().await;
    let location = DiskLocation { node: two.id, disk: two.disks.all()[0].id() };
    let profile = Profile::new(2, 1).unwrap();
    let block = |length: usize, index: u64| {
        let bytes = Bytes::from(vec![3; length]);
        Block { checksum: checksum(&NAME, index, &bytes), bytes }
    };
    let size = 1 << 20;
    let mut damaged = block(size, 0);
    damaged.bytes = Bytes::from(vec![4; size]);
    let three = (0..3).map(|index| block(size, index)).collect();
    let cases: [(Vec<ShardStep>, Refusal); 6] = [
        (vec![ShardStep::Blocks(three)], Refusal::Invalid),
        (vec![ShardStep::Blocks(vec![block(3, 0)])], Refusal::Invalid),
        (vec![ShardStep::Blocks(vec![block(size + 2, 0)])], Refusal::Invalid),
        (vec![ShardStep::Blocks(vec![damaged]), ShardStep::Finish { blocks: 1 }], Refusal::Corrupt),
        (vec![ShardStep::Blocks(vec![block(size, 0)]), ShardStep::Finish { blocks: 2 }], Refusal::Failed),
        (vec![ShardStep::Blocks(vec![block(size, 0)])], Refusal::Invalid),
    ];
    for (steps, expected) in cases {
        let (sender, queue) = mpsc::channel(8);
        for step in steps {
            sender.send(step).await.unwrap();
        }
        drop(sender);
        let written = one.peers.write_shard(location, NAME, profile, u32::try_from(size).unwrap(), queue).await;
        assert_eq!(refusal(written), expected);
        assert_eq!(two.disks.all()[0].list_shards(NAME.object.0[0]).unwrap(), []);
    }
    let wrong_disk = DiskLocation { node: two.id, disk: DiskId([0; 16]) };
    let (_sender, queue) = mpsc::channel(1);
    let written = one.peers.write_shard(wrong_disk, NAME, profile, 1024, queue).await;
    assert_eq!(refusal(written), Refusal::Missing);
    let (_sender, queue) = mpsc::channel(1);
    let written = one.peers.write_shard(location, NAME, profile, limits::BLOCK_SIZE_LIMIT_BYTES + 2, queue).await;
    assert_eq!(refusal(written), Refusal::Invalid);
    let geometry = Geometry { profile, block_size_bytes: 1 << 20, length_bytes: 1 << 30 };
    assert_eq!(refusal(one.peers.read_blocks(location, NAME, geometry, 0..5).await), Refusal::Invalid);
    let many = vec![(location.disk, NAME); limits::DELETE_LIMIT + 1];
    assert_eq!(refusal(one.peers.delete_shards(two.id, &many).await), Refusal::Invalid);
}
