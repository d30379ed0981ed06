//! Disks kept equally full.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raft::id::NodeId;
use tokio::time::sleep;

use super::world::*;
use crate::background::{Background, Metrics, Options};
use crate::deletion::testing::directory;

#[tokio::test(start_paused = true)]
async fn a_node_that_joins_gets_its_share_and_then_nothing_moves() {
    let world = World::new(&[1; 8]);
    world.keep_out(8);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let mut blobs = Vec::new();
    for number in 0..30 {
        let bytes = content(600 + number);
        blobs.push((push(&gateway, &bytes).await.unwrap(), bytes));
    }
    let held = |node: u64| -> u64 {
        world.view().disks_of(NodeId(node)).unwrap().iter().map(|(_, totals)| totals.bytes).sum()
    };
    let all: u64 = (1..=7).map(held).sum();
    world.join(8);
    // Small enough that the shards count.
    world.set_capacities(all / 4);
    let background = Background::start(&gateway, &directory(), Arc::new(|| None), &Options::default(), &metrics);
    // Seen before anything has moved.
    sleep(Duration::from_millis(1)).await;
    let preview = background.overview().rebalance.clone();
    assert!(!preview.balanced && preview.moves.iter().any(|flow| flow.to_node == 8));
    sleep(Duration::from_mins(10)).await;
    let overview = background.overview();
    assert!(overview.rebalance.balanced, "{overview:?}");
    let written = metrics.written_bytes.sum();
    assert!(held(8) > 0);
    assert_eq!(written, metrics.necessary_bytes.sum());
    assert_eq!(written, metrics.read_bytes.sum(), "copied");
    assert!(written <= preview.bytes_left + 100, "{written} of {}", preview.bytes_left);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(metrics.written_bytes.sum(), written);
    for (digest, bytes) in &blobs {
        assert_eq!(&pull(&gateway, digest, 0..u64::MAX).await.unwrap(), bytes);
        for (_, record) in world.extents(world.object_of(digest)) {
            let Some(coded) = record.body.into_coded() else { continue };
            assert_eq!(coded.shards.iter().map(|at| at.node).collect::<BTreeSet<_>>().len(), coded.shards.len());
        }
    }
    background.stop().await;
}
