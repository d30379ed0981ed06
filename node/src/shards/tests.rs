//! Shards of two nodes over a network in memory.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::DiskLocation;
use storage::codec::Profile;
use storage::shard::{Attempt, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName, checksum};

use super::sink::failed;
use super::{Block, Place, ShardError};
use crate::members::testing::FixedSource;
use crate::peer::testing::{MemoryNetwork, TestNode};
use crate::peer::{PeerError, Refusal, Trust, limits};

const BLOCK: u32 = 64 << 10;
const NAME: ShardName =
    ShardName { object: ObjectId([0xab; 16]), extent: ExtentIndex(2), attempt: Attempt(7), shard: ShardIndex(1) };

struct Two {
    one: TestNode,
    two: TestNode,
}

impl Two {
    async fn start() -> Self {
        let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
        let one = TestNode::start(&network, &source, 1, Trust::Claim).await;
        let two = TestNode::start(&network, &source, 2, Trust::Claim).await;
        Self { one, two }
    }

    /// A disk of the other node, and one of the own.
    fn locations(&self) -> [DiskLocation; 2] {
        [&self.two, &self.one].map(|node| DiskLocation { node: node.id, disk: node.disks.all()[0].id() })
    }

    fn files(&self, location: DiskLocation) -> usize {
        let node = if location.node == self.one.id { &self.one } else { &self.two };
        node.disks.all()[0].list_shards(NAME.object.0[0]).unwrap().len()
    }

    fn file(&self, location: DiskLocation) -> PathBuf {
        let node = if location.node == self.one.id { &self.one } else { &self.two };
        node.directory.path().join("disk/shards/ab").join(NAME.to_string())
    }
}

fn geometry() -> Geometry {
    // 100 blocks, the last one short.
    let length_bytes = u64::from(BLOCK) * 2 * 99 + 10_000;
    Geometry { profile: Profile::new(2, 1).unwrap(), block_size_bytes: BLOCK, length_bytes }
}

fn blocks() -> Vec<Block> {
    let geometry = geometry();
    let block = |index: u64| {
        let fill = u8::try_from(index % 251).unwrap();
        let bytes = Bytes::from(vec![fill; geometry.block_length_bytes(index) as usize]);
        Block { checksum: checksum(&NAME, index, &bytes), bytes }
    };
    (0..geometry.stripes()).map(block).collect()
}

async fn write(nodes: &Two, location: DiskLocation) {
    let mut sink = nodes.one.shards.create(location, NAME, geometry().profile, BLOCK).await.unwrap();
    for some in blocks().chunks(7) {
        sink.append(some.to_vec()).await.unwrap();
    }
    assert!(sink.finish().await.unwrap() > geometry().length_bytes / 2);
}

/// Waits for a condition that must come to hold.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

#[tokio::test]
async fn a_shard_is_written_read_and_deleted_wherever_it_rests() {
    let nodes = Two::start().await;
    for location in nodes.locations() {
        write(&nodes, location).await;
        let expected: Vec<Bytes> = blocks().into_iter().map(|block| block.bytes).collect();
        let shards = &nodes.one.shards;
        assert_eq!(shards.read(location, NAME, geometry(), 0..100).await.unwrap(), expected);
        assert_eq!(shards.read(location, NAME, geometry(), 41..43).await.unwrap(), expected[41..43]);
        assert_eq!(shards.read(location, NAME, geometry(), 99..100).await.unwrap(), expected[99..]);
        shards.delete(location.node, vec![(location.disk, NAME)]).await.unwrap();
        shards.delete(location.node, vec![(location.disk, NAME)]).await.unwrap();
        assert_eq!(nodes.files(location), 0);
        let missing = shards.read(location, NAME, geometry(), 0..1).await.unwrap_err();
        assert!(missing.is_missing(), "{missing}");
    }
}

#[tokio::test]
async fn a_shard_that_is_not_finished_leaves_nothing_behind() {
    let nodes = Two::start().await;
    for location in nodes.locations() {
        let mut sink = nodes.one.shards.create(location, NAME, geometry().profile, BLOCK).await.unwrap();
        for some in blocks()[..60].chunks(7) {
            sink.append(some.to_vec()).await.unwrap();
        }
        eventually("the file is begun", || nodes.files(location) == 1).await;
        sink.abort();
        eventually("the file is removed", || nodes.files(location) == 0).await;
    }
}

#[tokio::test]
async fn a_shard_whose_writer_vanishes_leaves_nothing_behind() {
    let nodes = Two::start().await;
    let [remote, _] = nodes.locations();
    let mut sink = nodes.one.shards.create(remote, NAME, geometry().profile, BLOCK).await.unwrap();
    sink.append(blocks()).await.unwrap();
    eventually("the file is begun", || nodes.files(remote) == 1).await;
    let Two { one, mut two } = nodes;
    two.stop_serving();
    let error = sink.finish().await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(!one.members.is_live(two.id), "a failed transfer is reported");
    let disk = &two.disks.all()[0];
    eventually("the file is removed", || disk.list_shards(0xab).unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_slow_or_busy_node_is_not_taken_for_dead() {
    let nodes = Two::start().await;
    let [remote, _] = nodes.locations();
    let (members, node) = (&nodes.one.members, remote.node);
    eventually("the node is live", || members.is_live(node)).await;
    let place = Place { location: remote, name: NAME };
    let slow = failed(members, place, &PeerError::Timeout { node });
    assert!(matches!(slow, ShardError::TimedOut { .. }) && !slow.is_unreachable(), "{slow}");
    let message = "too many".to_owned();
    assert!(failed(members, place, &PeerError::Refused { node, refusal: Refusal::Busy, message }).is_busy());
    assert!(members.is_live(node));
    assert!(failed(members, place, &PeerError::Lost { node, message: "reset".to_owned() }).is_unreachable());
    assert!(!members.is_live(node));
}

#[tokio::test]
async fn a_write_waits_for_its_turn_when_many_are_under_way() {
    let nodes = Two::start().await;
    let [remote, _] = nodes.locations();
    let profile = geometry().profile;
    let name = |attempt: usize| ShardName { attempt: Attempt(attempt as u64), ..NAME };
    let mut under_way = Vec::new();
    for attempt in 0..limits::SHARD_WRITERS_LIMIT {
        under_way.push(nodes.one.shards.create(remote, name(attempt), profile, BLOCK).await.unwrap());
    }
    eventually("all are under way", || nodes.files(remote) == limits::SHARD_WRITERS_LIMIT).await;
    let sink = nodes.one.shards.create(remote, name(usize::MAX), profile, BLOCK).await.unwrap();
    let last = tokio::spawn(sink.finish());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!last.is_finished());
    under_way.pop();
    last.await.unwrap().unwrap();
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "damages the files behind the node's back")]
async fn damage_is_noticed_counted_and_never_served() {
    let nodes = Two::start().await;
    for location in nodes.locations() {
        write(&nodes, location).await;
        let path = nodes.file(location);
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        // Somewhere in the middle of block 10.
        file.seek(SeekFrom::Start(64 + 10 * (u64::from(BLOCK) + 32) + 5000)).unwrap();
        file.write_all(b"!").unwrap();
        drop(file);
        let holder = if location.node == nodes.one.id { &nodes.one } else { &nodes.two };
        let before = holder.shard_metrics.corrupt_total();
        let shards = &nodes.one.shards;
        let error = shards.read(location, NAME, geometry(), 8..12).await.unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        assert_eq!(holder.shard_metrics.corrupt_total(), before + 1);
        assert_eq!(shards.read(location, NAME, geometry(), 11..14).await.unwrap().len(), 3);
        // Cut short.
        OpenOptions::new().write(true).open(&path).unwrap().set_len(300_000).unwrap();
        let error = shards.read(location, NAME, geometry(), 20..22).await.unwrap_err();
        assert!(error.is_corrupt(), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_disk_is_a_missing_shard() {
    let nodes = Two::start().await;
    for location in nodes.locations() {
        let nowhere = DiskLocation { disk: storage::shard::DiskId([0; 16]), ..location };
        let error = nodes.one.shards.read(nowhere, NAME, geometry(), 0..1).await.unwrap_err();
        assert!(error.is_missing(), "{error}");
        let outcome = match nodes.one.shards.create(nowhere, NAME, geometry().profile, BLOCK).await {
            Ok(sink) => sink.finish().await.map(drop),
            Err(error) => Err(error),
        };
        let error = outcome.unwrap_err();
        assert!(error.is_missing(), "{error}");
    }
}

#[tokio::test]
async fn an_error_of_a_remote_disk_shows_at_the_next_append() {
    let nodes = Two::start().await;
    let [remote, _] = nodes.locations();
    write(&nodes, remote).await;
    // The file exists already: the attempt is not new.
    let mut sink = nodes.one.shards.create(remote, NAME, geometry().profile, BLOCK).await.unwrap();
    let mut failed = None;
    for _ in 0..100 {
        if let Err(error) = sink.append(blocks()).await {
            failed = Some(error);
            break;
        }
    }
    assert!(matches!(failed, Some(ShardError::Io { .. })), "{failed:?}");
    assert!(matches!(sink.append(blocks()).await, Err(ShardError::Io { .. })));
    assert_eq!(nodes.files(remote), 1);
}
