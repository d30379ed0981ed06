//! The background work: degraded writes brought to full redundancy, damage rebuilt, garbage swept, sessions expired.

use std::time::Duration;

use raft::catalog::{
    Advance, Algorithm, CodedExtent, Command, DISCARD_GRACE_SECONDS, DiskLocation, ExtentBody, NewExtent,
};
use raft::id::NodeId;
use storage::shard::{Attempt, DiskId, Geometry};
use tokio::time::{Instant, sleep};

use super::world::*;
use crate::background::{Background, Metrics, Options};
use crate::deletion::testing::directory;
use crate::gateway::write::Pace;

/// Lets the background work run for some virtual time.
async fn work(gateway: &crate::gateway::Gateway, metrics: &Metrics, seconds: u64) {
    let background =
        Background::start(gateway, &directory(), std::sync::Arc::new(|| None), &Options::default(), metrics);
    sleep(Duration::from_secs(seconds)).await;
    background.stop().await;
    settle(gateway).await;
}

#[tokio::test(start_paused = true)]
async fn work_rests_as_long_as_it_took_while_any_node_serves_clients() {
    let world = World::new(&[1, 1, 1]);
    let core = &world.gateway(1, small()).core;
    let mut stint = Pace::new(0).stint();
    let rest = async |stint: &mut crate::gateway::write::Stint| {
        sleep(Duration::from_millis(200)).await;
        let worked = Instant::now();
        stint.moved(core, 1, 1).await;
        worked.elapsed()
    };
    assert_eq!(rest(&mut stint).await, Duration::ZERO);
    let client = world.clients.arrive();
    assert_eq!(rest(&mut stint).await, Duration::from_millis(200));
    drop(client);
    sleep(Duration::from_secs(1)).await;
    let mut stint = Pace::new(0).stint();
    assert_eq!(rest(&mut stint).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_write_is_encoded_anew_once_the_cluster_is_whole() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let metrics = Metrics::default();
    let bytes = content(700);
    world.kill(3);
    let digest = push(&gateway, &bytes).await.unwrap();
    let object = world.object_of(&digest);
    work(&gateway, &metrics, 60).await;
    assert_eq!(metrics.reencoded_extents.get(), 0);
    world.revive(3);
    work(&gateway, &metrics, 60).await;
    assert!(world.profiles(object).iter().all(|profile| profile == "2+1"));
    assert_eq!(metrics.reencoded_extents.get(), world.extents(object).len() as u64);
    assert_eq!(world.view().totals().unwrap().shortfalls, 0);
    world.wait(DISCARD_GRACE_SECONDS);
    work(&gateway, &metrics, 60).await;
    assert_eq!(world.strays(&[object]), 0);
    assert_eq!(world.view().totals().unwrap().discards, 0);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn damage_that_a_reader_found_is_rebuilt() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let metrics = Metrics::default();
    let bytes = content(700);
    let digest = push(&gateway, &bytes).await.unwrap();
    for (number, place) in world.shards().iter().filter(|(_, name)| name.shard.0 == 1).enumerate() {
        if number % 2 == 0 { world.remove(place) } else { world.corrupt(place) }
    }
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    settle(&gateway).await;
    assert!(world.view().totals().unwrap().shortfalls > 0);
    work(&gateway, &metrics, 60).await;
    assert_eq!(world.view().totals().unwrap().shortfalls, 0);
    let before = gateway.core.metrics.degraded_reads.get();
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    assert_eq!(gateway.core.metrics.degraded_reads.get(), before);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rebuilt_is_tried_again_when_its_node_is_back() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let metrics = Metrics::default();
    let bytes = content(200);
    let digest = push(&gateway, &bytes).await.unwrap();
    for place in world.shards().iter().filter(|(location, _)| location.node.0 == 2) {
        world.remove(place);
    }
    pull(&gateway, &digest, 0..u64::MAX).await.unwrap();
    settle(&gateway).await;
    world.kill(3);
    let shards = world.shards().len();
    work(&gateway, &metrics, 100).await;
    let failures = metrics.reencode_failures.get();
    assert!((2..=5).contains(&failures), "{failures}");
    assert_eq!(world.shards().len(), shards, "failed attempts leave nothing");
    world.revive(3);
    work(&gateway, &metrics, 60).await;
    assert_eq!(world.view().totals().unwrap().shortfalls, 0);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn sessions_without_progress_expire_and_their_shards_go() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let metrics = Metrics::default();
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&content(500), 50)).await.unwrap();
    work(&gateway, &metrics, 60).await;
    assert_eq!(metrics.expired_uploads.get(), 0);
    world.wait(3600);
    work(&gateway, &metrics, 60).await;
    assert_eq!(metrics.expired_uploads.get(), 1);
    assert!(gateway.upload(&repository(), session).await.is_err());
    assert!(!world.shards().is_empty(), "readers may still hold them");
    world.wait(DISCARD_GRACE_SECONDS);
    work(&gateway, &metrics, 60).await;
    assert!(world.shards().is_empty());
    assert!(metrics.swept_shards.get() > 0);
}

#[tokio::test(start_paused = true)]
async fn shards_of_a_node_that_is_away_are_swept_when_it_is_back() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let metrics = Metrics::default();
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&content(500), 50)).await.unwrap();
    gateway.cancel_upload(&repository(), session).await.unwrap();
    world.wait(DISCARD_GRACE_SECONDS);
    world.kill(2);
    work(&gateway, &metrics, 60).await;
    assert!(world.shards().iter().all(|(location, _)| location.node.0 == 2));
    assert!(world.view().totals().unwrap().discards > 0);
    world.revive(2);
    work(&gateway, &metrics, 60).await;
    assert!(world.shards().is_empty());
    assert_eq!(world.view().totals().unwrap().discards, 0);
}

#[tokio::test(start_paused = true)]
async fn sets_that_wait_for_a_node_hold_up_no_others() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let metrics = Metrics::default();
    let discard = async |holder: u8, count: u64| {
        let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
        let location = DiskLocation { node: NodeId(holder.into()), disk: DiskId([holder; 16]) };
        let extent = |attempt| {
            let geometry = Geometry { profile: "1+0".parse().unwrap(), block_size_bytes: 16, length_bytes: 16 };
            let coded = CodedExtent::written(geometry, Attempt(attempt), &[location]);
            NewExtent { body: ExtentBody::Coded(coded), shortfall: None }
        };
        let record = world.view().upload(session).unwrap().unwrap();
        let advance = Advance {
            expected: record.position,
            hash_state: record.hash_state,
            extents: (0..count).map(extent).collect(),
            replaced: Vec::new(),
            parity: 0,
            lifetime_seconds: 3600,
        };
        gateway.core.propose(Command::AdvanceUpload { session, advance }).await.unwrap();
        gateway.cancel_upload(&repository(), session).await.unwrap();
    };
    discard(2, 1500).await;
    discard(1, 10).await;
    world.wait(DISCARD_GRACE_SECONDS);
    world.kill(2);
    work(&gateway, &metrics, 60).await;
    assert_eq!(world.view().totals().unwrap().discards, 1500, "only those that wait are left");
    world.revive(2);
    work(&gateway, &metrics, 60).await;
    assert_eq!(world.view().totals().unwrap().discards, 0);
}
