//! Snapshots that no honest sender produces, or that break off: refused, and nothing is left of them.

use bytes::Bytes;
use futures_util::stream;

use super::harness::{Cluster, Machines, Node};
use super::toy::count;
use crate::codec;
use crate::group::record::{AppliedRecord, LeaderRecord, LogIdRecord, VoteRecord};
use crate::group::snapshot_stream::{Frame, Received};
use crate::group::{Incarnation, ReceiveError};

fn leader(term: u64) -> LeaderRecord {
    LeaderRecord { term, node: 2 }
}

fn begin(term: u64) -> Frame {
    Frame::Begin {
        incarnation: Incarnation::default(),
        vote: VoteRecord { leader: leader(term), committed: true },
        contents: AppliedRecord {
            last_applied: Some(LogIdRecord { leader: leader(term), index: 1000 }),
            ..AppliedRecord::default()
        },
    }
}

fn file(name: &str, length_bytes: u64) -> Frame {
    Frame::File { name: name.to_owned(), length_bytes }
}

fn data(bytes: &'static [u8]) -> Frame {
    Frame::Data(Bytes::from_static(bytes))
}

fn end_of(bytes: &[u8]) -> Frame {
    Frame::FileEnd { hash: blake3::hash(bytes).into() }
}

async fn receive(node: &Node, frames: Vec<Frame>) -> Result<Bytes, ReceiveError> {
    let frames = frames.into_iter().map(|frame| Ok::<_, String>(Bytes::from(codec::encode(&frame))));
    node.group.receive_snapshot(stream::iter(frames)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_streams_are_refused_and_leave_nothing() {
    let cluster = Cluster::new(Machines::memory().0);
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    node.set("key", "value").await.unwrap();
    let refused = [
        vec![],
        vec![Frame::End],
        vec![data(b"x")],
        vec![begin(100)],
        vec![begin(100), begin(100)],
        vec![begin(100), data(b"x")],
        vec![begin(100), file("a", 4), file("b", 4)],
        vec![begin(100), file("a", 4), Frame::End],
        vec![begin(100), file("a", 4), data(b"12345")],
        vec![begin(100), file("a", 4), data(b"123"), end_of(b"123")],
        vec![begin(100), file("a", 4), data(b"1234"), end_of(b"4321")],
        vec![begin(100), file("../a", 1), data(b"1"), end_of(b"1"), Frame::End],
        vec![begin(100), file("/tmp/a", 1), data(b"1"), end_of(b"1"), Frame::End],
        vec![begin(100), file("..", 1), data(b"1"), end_of(b"1"), Frame::End],
        vec![begin(100), file("a", 0), end_of(b""), file("a", 0), end_of(b""), Frame::End],
    ];
    for frames in refused {
        let shown = format!("{frames:?}");
        receive(&node, frames).await.expect_err(&shown);
    }
    let garbage = stream::iter([Ok::<_, String>(Bytes::from_static(b"garbage"))]);
    assert!(node.group.receive_snapshot(garbage).await.is_err());
    let left = cluster.machines.files.list(&cluster.machines.path("1-group")).unwrap();
    assert_eq!(left.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["state-1"]);
    assert_eq!(count(node.group.state().as_ref()), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_leader_learns_of_the_newer_one_before_it_sends_files() {
    let cluster = Cluster::new(Machines::memory().0);
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    node.set("key", "value").await.unwrap();
    let answer = receive(&node, vec![begin(0)]).await.unwrap();
    let received: Received = codec::decode(&answer).unwrap();
    assert!(received.vote.leader.term >= 1);
    node.stop().await;
}
