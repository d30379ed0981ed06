//! Reads: what is missing, damaged, slow, away or replaced.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::StreamExt;
use futures_util::future::join_all;
use raft::catalog::{DiskLocation, ExtentBody, ShortfallReason};
use raft::id::NodeId;
use storage::shard::{ExtentIndex, ShardName};
use tokio::time::Instant;

use super::world::*;
use crate::gateway::write::{Avoided, Stint, rewrite};
use crate::gateway::{Options, ReadError};

fn all_of_node(world: &World, node: u64) -> Vec<(DiskLocation, ShardName)> {
    world.shards().into_iter().filter(|(location, _)| location.node == NodeId(node)).collect()
}

#[tokio::test]
async fn any_lost_or_damaged_shard_is_made_up_for_and_reported_once() {
    for damage in [World::remove, World::corrupt] {
        for node in 1..=5 {
            let world = World::new(&[1, 1, 1, 1, 1]);
            let gateway = world.gateway(1, small());
            let bytes = content(700);
            let digest = push(&gateway, &bytes).await.unwrap();
            for lost in [node, node % 5 + 1] {
                for place in all_of_node(&world, lost) {
                    damage(&world, &place);
                }
                assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
                assert_eq!(pull(&gateway, &digest, 77..99).await.unwrap(), bytes[77..99]);
            }
            settle(&gateway).await;
            let shortfalls = world.view().shortfalls(None, 100).unwrap();
            assert!(!shortfalls.is_empty());
            assert!(shortfalls.iter().all(|(_, record)| !record.missing.is_empty()
                && record.missing.iter().all(|missing| matches!(
                    missing.cause,
                    ShortfallReason::ReadMissing | ShortfallReason::ReadCorrupt
                ))));
            world.commands();
            assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
            settle(&gateway).await;
            let again = world.commands();
            assert!(again.is_empty(), "{again:?}");
            assert!(gateway.core.metrics.reconstructed_blocks.get() > 0);
        }
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_completed_ends_with_an_error() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(900);
    let digest = push(&gateway, &bytes).await.unwrap();
    for place in world.shards() {
        if place.1.extent == ExtentIndex(2) && place.0.node != NodeId(1) {
            world.remove(&place);
        }
    }
    let blob = gateway.open_blob(&repository(), &digest).await.unwrap();
    let mut stream = blob.clone().read(0..900).await.unwrap();
    let mut read = Vec::new();
    let error = loop {
        match stream.next().await.expect("an error comes before the end") {
            Ok(piece) => read.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert_eq!(read, bytes[..512]);
    assert!(matches!(error, ReadError::Unreadable { extent: 2, .. }));
    assert!(stream.next().await.is_none());
    // Nothing is promised before the first bytes are known to be good.
    assert!(blob.clone().read(600..700).await.is_err());
    assert!(blob.read(0..100).await.is_ok());
}

#[tokio::test]
async fn a_dead_node_is_not_asked() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(700);
    let digest = push(&gateway, &bytes).await.unwrap();
    world.kill(3);
    world.reads();
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    assert!(world.reads().iter().all(|(location, ..)| location.node != NodeId(3)));
    settle(&gateway).await;
    assert!(world.view().shortfalls(None, 10).unwrap().is_empty());
    world.kill(2);
    assert!(matches!(pull(&gateway, &digest, 0..u64::MAX).await, Err(ReadError::Unreadable { .. })));
}

#[tokio::test]
async fn a_range_touches_only_the_blocks_it_needs() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(900);
    let digest = push(&gateway, &bytes).await.unwrap();
    for (range, blocks) in [(0..1, 1), (15..17, 2), (32..48, 1), (20..40, 2), (250..260, 2), (0..64, 4), (5..5, 0)] {
        world.reads();
        let read = pull(&gateway, &digest, range.clone()).await.unwrap();
        assert_eq!(read.len() as u64, range.end - range.start);
        let touched: BTreeSet<_> = world
            .reads()
            .into_iter()
            .flat_map(|(_, name, blocks)| blocks.map(move |block| (name.extent, name.shard, block)))
            .collect();
        assert_eq!(touched.len(), blocks, "{range:?}");
        assert!(touched.iter().all(|(_, shard, _)| shard.0 < 2), "no parity was needed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_shard_is_made_up_for_after_a_delay() {
    for slow in 1..=3 {
        let world = World::new(&[1, 1, 1]);
        let gateway = world.gateway(1, small());
        let bytes = content(60);
        let digest = push(&gateway, &bytes).await.unwrap();
        world.slow_down(slow);
        let began = Instant::now();
        assert_eq!(pull(&gateway, &digest, 0..60).await.unwrap(), bytes);
        let took = began.elapsed();
        assert!(took.as_millis() < 1000, "{took:?}");
        let hedged = gateway.core.metrics.hedged_reads.get();
        assert_eq!(hedged > 0, took.as_millis() >= 300);
        // Two slow ones leave no choice but to wait.
        world.slow_down(slow % 3 + 1);
        assert_eq!(pull(&gateway, &digest, 0..60).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_reader_follows_an_extent_that_was_written_anew() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(500);
    world.kill(2);
    let digest = push(&gateway, &bytes).await.unwrap();
    world.revive(2);
    let object = world.object_of(&digest);
    let blob = gateway.open_blob(&repository(), &digest).await.unwrap();
    let mut stream = blob.read(0..500).await.unwrap();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    for (index, record) in world.extents(object) {
        let ExtentBody::Coded(old) = record.body else { continue };
        let anew =
            rewrite(&gateway.core, object, ExtentIndex(index), &old, &mut Avoided::default(), &mut Stint::urgent())
                .await
                .unwrap();
        assert_eq!(anew.coded.geometry.profile.to_string(), "2+1");
        let command = raft::catalog::Command::ReplaceExtent {
            object,
            extent: ExtentIndex(index),
            expected: old.attempt,
            body: anew.coded,
            shortfall: None,
        };
        assert_eq!(gateway.core.propose(command).await.unwrap(), raft::catalog::Response::Done);
        for place in world.shards().iter().filter(|(_, name)| name.attempt == old.attempt) {
            world.remove(place);
        }
    }
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(read, bytes);
    settle(&gateway).await;
    assert!(world.view().shortfalls(None, 10).unwrap().is_empty(), "nothing that was replaced is reported");
}

#[tokio::test]
async fn a_reader_follows_a_blob_that_was_pushed_again_into_a_new_object() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(1500);
    world.kill(2);
    let digest = push(&gateway, &bytes).await.unwrap();
    world.revive(2);
    let old = world.object_of(&digest);
    let blob = gateway.open_blob(&repository(), &digest).await.unwrap();
    let mut stream = blob.read(0..1500).await.unwrap();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    push(&gateway, &bytes).await.unwrap();
    assert_ne!(world.object_of(&digest), old, "a push heals");
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(read, bytes);
    settle(&gateway).await;
    assert_eq!(gateway.core.metrics.reads_active.get(), 0);
}

#[tokio::test]
async fn a_slow_reader_follows_a_blob_whose_old_object_was_swept_meanwhile() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, Options { extent_size_bytes: 512, ..small() });
    let bytes = content(1500);
    world.kill(2);
    let digest = push(&gateway, &bytes).await.unwrap();
    world.revive(2);
    let old = world.object_of(&digest);
    let mut stream = gateway.open_blob(&repository(), &digest).await.unwrap().read(0..1500).await.unwrap();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    push(&gateway, &bytes).await.unwrap();
    settle(&gateway).await;
    // Most windows of the extent that the reader is in were not fetched yet.
    for place in world.shards().iter().filter(|(_, name)| name.object == old) {
        world.remove(place);
    }
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(read, bytes);
}

#[tokio::test(start_paused = true)]
async fn readers_stay_within_the_budget_and_slow_ones_do_not_stop_the_others() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, Options { read_budget_bytes: 64 << 10, window_size_bytes: 2 << 10, ..small() });
    let bytes = content(9000);
    let digest = push(&gateway, &bytes).await.unwrap();
    let used = || gateway.core.metrics.read_budget_used.get();
    // They take one piece each and then nothing more.
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = gateway.open_blob(&repository(), &digest).await.unwrap().read(0..9000).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        slow.push((stream, first));
    }
    let peak = Arc::new(AtomicI64::new(used()));
    let readers = (0..20).map(|_| {
        let (gateway, peak) = (gateway.clone(), Arc::clone(&peak));
        tokio::spawn(async move {
            let mut stream = gateway.open_blob(&repository(), &digest).await.unwrap().read(0..9000).await.unwrap();
            let mut read = Vec::new();
            while let Some(piece) = stream.next().await {
                read.extend_from_slice(&piece.unwrap());
                peak.fetch_max(gateway.core.metrics.read_budget_used.get(), Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            read
        })
    });
    for read in join_all(readers).await {
        assert_eq!(read.unwrap(), bytes);
    }
    let peak = peak.load(Ordering::Relaxed);
    assert!(peak > 0 && peak <= 48 << 10, "{peak}");
    let ends = slow.into_iter().map(|(mut stream, first)| async move {
        let mut read = first.to_vec();
        drop(first);
        while let Some(piece) = stream.next().await {
            read.extend_from_slice(&piece.unwrap());
        }
        read
    });
    for read in join_all(ends).await {
        assert_eq!(read, bytes);
    }
    assert_eq!(used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_finds_no_memory_is_told_so_and_extents_are_written_anew_all_the_same() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, Options { read_budget_bytes: 4 << 10, ..small() });
    let bytes = content(500);
    let digest = push(&gateway, &bytes).await.unwrap();
    let all = gateway.core.reads.share(3 << 10).await;
    let refused = pull(&gateway, &digest, 0..u64::MAX).await;
    assert!(matches!(refused, Err(ReadError::Unreadable { .. })), "{refused:?}");
    let object = world.object_of(&digest);
    let ExtentBody::Coded(coded) = world.extents(object).remove(0).1.body else { panic!() };
    rewrite(&gateway.core, object, ExtentIndex(0), &coded, &mut Avoided::default(), &mut Stint::urgent())
        .await
        .unwrap();
    drop(all);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}
