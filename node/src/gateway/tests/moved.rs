//! Single shards that were moved, seen by readers and by those who clean up.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use raft::catalog::{CodedExtent, Command, DiskLocation, ExtentBody, Response, ShardMove};
use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex, ShardName, checksum};

use super::world::*;
use crate::gateway::Gateway;
use crate::gateway::holders::ShardStore;
use crate::gateway::write::discard_shards_unless_current;
use crate::shards::Block;

/// Nodes of the world: one more than the profile 4+2 needs.
const NODES: [usize; 7] = [1; 7];

fn layouts(world: &Arc<World>, object: ObjectId) -> Vec<(ExtentIndex, CodedExtent)> {
    let coded = |(index, record): (u32, raft::catalog::ExtentRecord)| match record.body {
        ExtentBody::Coded(coded) => Some((ExtentIndex(index), coded)),
        ExtentBody::Inline(_) => None,
    };
    world.extents(object).into_iter().filter_map(coded).collect()
}

/// Copies a shard to the disk that holds none of its extent, makes the catalog refer to the copy, and returns both.
async fn move_shard(
    world: &Arc<World>,
    gateway: &Gateway,
    object: ObjectId,
    (extent, layout): &(ExtentIndex, CodedExtent),
    shard: ShardIndex,
    attempt: Attempt,
) -> [(DiskLocation, ShardName); 2] {
    let from = layout.location(shard).unwrap().on();
    let old = layout.name(object, *extent, shard).unwrap();
    let all = world.nodes().into_iter().map(|(node, disks)| DiskLocation { node, disk: disks[0] });
    let to = all.into_iter().find(|disk| layout.shards.iter().all(|shard| shard.on() != *disk)).unwrap();
    let new = ShardName { attempt, ..old };
    let geometry = layout.geometry;
    let blocks = world.read(from, old, geometry, 0..geometry.stripes()).await.unwrap();
    let sealed = |(index, bytes): (u64, Bytes)| Block { checksum: checksum(&new, index, &bytes), bytes };
    let blocks = (0..).zip(blocks).map(sealed).collect();
    let mut sink = world.create(to, new, geometry.profile, geometry.block_size_bytes).await.unwrap();
    sink.append(blocks).await.unwrap();
    sink.finish().await.unwrap();
    let moves = vec![ShardMove { shard, to: to.shard(attempt) }];
    let command = Command::MoveShards { object, extent: *extent, expected: layout.attempt, attempt, moves };
    assert_eq!(gateway.core.propose(command).await.unwrap(), Response::Done);
    [(from, old), (to, new)]
}

#[tokio::test]
async fn a_reader_follows_shards_that_were_moved_and_reports_nothing() {
    let world = World::new(&NODES);
    let gateway = world.gateway(1, small());
    let bytes = content(900);
    let digest = push(&gateway, &bytes).await.unwrap();
    let object = world.object_of(&digest);
    let blob = gateway.open_blob(&repository(), &digest).await.unwrap();
    let mut stream = blob.read(0..900).await.unwrap();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    for (number, layout) in (0..).zip(layouts(&world, object)) {
        assert_eq!(layout.1.geometry.profile.to_string(), "4+2");
        let attempt = Attempt(1 << 40 | number);
        let [old, _] = move_shard(&world, &gateway, object, &layout, ShardIndex(0), attempt).await;
        world.remove(&old);
    }
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(read, bytes);
    settle(&gateway).await;
    assert!(world.view().shortfalls(None, 10).unwrap().is_empty(), "what was moved is not missing");
    let degraded = gateway.core.metrics.degraded_reads.get();
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    assert_eq!(gateway.core.metrics.degraded_reads.get(), degraded, "moved shards are read like any others");
}

#[tokio::test]
async fn a_moved_shard_that_is_lost_is_reported_of_the_new_layout() {
    let world = World::new(&NODES);
    let gateway = world.gateway(1, small());
    let bytes = content(200);
    let digest = push(&gateway, &bytes).await.unwrap();
    let object = world.object_of(&digest);
    let layout = layouts(&world, object).remove(0);
    let [_, new] = move_shard(&world, &gateway, object, &layout, ShardIndex(1), Attempt(1 << 40)).await;
    world.remove(&new);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    settle(&gateway).await;
    let listed = world.view().shortfalls(None, 10).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].1.attempt, Attempt(1 << 40));
    assert!(listed[0].1.is_missing(ShardIndex(1)));
}

#[tokio::test]
async fn what_a_later_layout_still_refers_to_is_no_leftover() {
    let world = World::new(&NODES);
    let gateway = world.gateway(1, small());
    let digest = push(&gateway, &content(100)).await.unwrap();
    let object = world.object_of(&digest);
    let layout = layouts(&world, object).remove(0);
    let [old, new] = move_shard(&world, &gateway, object, &layout, ShardIndex(0), Attempt(1 << 40)).await;
    let layout = layouts(&world, object).remove(0);
    let [second, _] = move_shard(&world, &gateway, object, &layout, ShardIndex(3), Attempt(2 << 40)).await;
    discard_shards_unless_current(&gateway.core, vec![old, new, second]).await;
    settle(&gateway).await;
    let kept = world.shards();
    assert!(kept.contains(&new), "the layout's attempt is another one, the shard is in use");
    assert!(!kept.contains(&old) && !kept.contains(&second));
    assert_eq!(world.strays(&[object]), 0);
}
