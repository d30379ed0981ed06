//! Nodes and disks that fail while an upload is written.

use raft::catalog::{Algorithm, ExtentBody, ShortfallReason};
use raft::id::NodeId;
use storage::shard::ObjectId;

use super::world::*;
use crate::gateway::UploadError;

fn assert_only_on(world: &World, object: ObjectId, dead: u64) {
    for (_, record) in world.extents(object) {
        if let ExtentBody::Coded(coded) = record.body {
            assert!(coded.shards.iter().all(|location| location.node != NodeId(dead)));
        }
    }
}

#[tokio::test]
async fn a_node_that_dies_in_the_middle_is_not_seen_by_the_client() {
    for appends in 0..11 {
        let world = World::new(&[1, 1, 1]);
        let gateway = world.gateway(1, small());
        let bytes = content(700);
        world.kill_after_appends(3, appends);
        let digest = push(&gateway, &bytes).await.unwrap();
        let object = world.object_of(&digest);
        assert_only_on(&world, object, 3);
        assert!(world.profiles(object).iter().all(|profile| profile == "1+1"), "{appends}");
        let shortfalls = world.view().shortfalls(None, 100).unwrap();
        assert_eq!(shortfalls.len(), world.extents(object).len());
        assert!(shortfalls.iter().all(|(_, record)| record.weak == Some(ShortfallReason::DegradedWrite)));
        settle(&gateway).await;
        world.revive(3);
        // What the dead node kept of it is garbage that only an inventory finds.
        assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes, "{appends}");
    }
}

#[tokio::test]
async fn a_node_that_dies_while_it_syncs_is_not_seen_by_the_client() {
    for finishes in 0..3 {
        let world = World::new(&[1, 1, 1]);
        let gateway = world.gateway(1, small());
        let bytes = content(700);
        world.kill_after_finishes(2, finishes);
        let digest = push(&gateway, &bytes).await.unwrap();
        let object = world.object_of(&digest);
        assert_only_on(&world, object, 2);
        assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes, "{finishes}");
    }
}

#[tokio::test]
async fn earlier_extents_of_the_session_are_brought_to_the_live_nodes_too() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(900);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&bytes[..600], 50)).await.unwrap();
    let object = world.session_object(session);
    assert!(world.profiles(object).iter().all(|profile| profile == "2+1"));
    world.kill(2);
    gateway.append(&repository(), session, None, body(&bytes[600..], 50)).await.unwrap();
    assert_only_on(&world, object, 2);
    assert!(world.profiles(object).iter().all(|profile| profile == "1+1"));
    gateway.finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await.unwrap();
    assert_eq!(pull(&gateway, &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
    assert!(gateway.core.metrics.healed_extents.get() >= 3);
    settle(&gateway).await;
    world.revive(2);
    // The committed shards that were replaced wait in the catalog's queue; nothing else is left.
    let discards = world.view().discards(raft::time::Timestamp(u64::MAX), None, 100).unwrap();
    assert_eq!(world.strays(&[object]), discards.iter().map(|(_, record)| record.shards.len()).sum::<usize>());
}

#[tokio::test]
async fn what_the_only_node_wrote_is_spread_before_the_next_acknowledgement_when_others_have_joined() {
    let world = World::new(&[1, 1]);
    world.keep_out(2);
    let gateway = world.gateway(1, small());
    let bytes = content(900);
    for part in [b"".to_vec(), bytes[600..].to_vec()] {
        let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
        gateway.append(&repository(), session, None, body(&bytes[..600], 50)).await.unwrap();
        let object = world.session_object(session);
        assert!(world.profiles(object).iter().all(|profile| profile == "1+0"));
        world.join(2);
        let whole = &bytes[..600 + part.len()];
        gateway.finish(&repository(), session, None, sha256(whole), body(&part, 50)).await.unwrap();
        assert!(world.profiles(object).iter().all(|profile| profile == "1+1"), "{:?}", world.profiles(object));
        assert_eq!(pull(&gateway, &sha256(whole), 0..u64::MAX).await.unwrap(), whole);
        settle(&gateway).await;
        world.keep_out(2);
    }
}

#[tokio::test]
async fn a_push_to_a_grown_cluster_does_not_keep_the_only_copy_of_a_single_node() {
    let world = World::new(&[1, 1, 1]);
    world.keep_out(2);
    world.keep_out(3);
    let gateway = world.gateway(1, small());
    let bytes = content(700);
    let digest = push(&gateway, &bytes).await.unwrap();
    let lone = world.object_of(&digest);
    push(&gateway, &bytes).await.unwrap();
    assert_eq!(world.object_of(&digest), lone);
    world.join(2);
    world.join(3);
    push(&gateway, &bytes).await.unwrap();
    let spread = world.object_of(&digest);
    assert_ne!(spread, lone);
    assert!(world.profiles(spread).iter().all(|profile| profile == "2+1"));
    push(&gateway, &bytes).await.unwrap();
    assert_eq!(world.object_of(&digest), spread);
}

#[tokio::test]
async fn nothing_is_acknowledged_on_one_disk_when_the_other_node_is_away() {
    let world = World::new(&[1, 1]);
    world.keep_out(2);
    let gateway = world.gateway(1, small());
    let bytes = content(300);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&bytes, 50)).await.unwrap();
    world.join(2);
    world.kill(2);
    let refused = gateway.finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await;
    assert!(matches!(refused, Err(UploadError::Unavailable { .. })), "{refused:?}");
    world.revive(2);
    gateway.finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await.unwrap();
    assert!(world.profiles(world.object_of(&sha256(&bytes))).iter().all(|profile| profile == "1+1"));
}

#[tokio::test(start_paused = true)]
async fn a_node_with_too_much_to_do_is_waited_for_and_not_avoided() {
    for refusals in 1..4 {
        let world = World::new(&[1, 1, 1]);
        let gateway = world.gateway(1, small());
        world.state().refusals_left.insert(NodeId(3), refusals);
        let bytes = content(700);
        let digest = push(&gateway, &bytes).await.unwrap();
        let profiles = world.profiles(world.object_of(&digest));
        assert!(profiles.iter().all(|profile| profile == "2+1"), "{profiles:?}");
        assert!(world.view().shortfalls(None, 9).unwrap().is_empty());
        assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn two_of_five_nodes_may_die_in_the_middle() {
    let world = World::new(&[1, 1, 1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(1500);
    world.kill_after_appends(4, 3);
    world.kill_after_appends(5, 3);
    let digest = push(&gateway, &bytes).await.unwrap();
    assert_only_on(&world, world.object_of(&digest), 4);
    assert_only_on(&world, world.object_of(&digest), 5);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn without_a_safe_place_the_upload_is_refused_and_can_go_on_later() {
    let world = World::new(&[1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(700);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&bytes[..300], 50)).await.unwrap();
    world.kill_after_appends(2, 2);
    let refused = gateway.append(&repository(), session, None, body(&bytes[300..], 50)).await;
    assert!(matches!(refused, Err(UploadError::Unavailable { .. })), "{refused:?}");
    let refused = gateway.start_upload(&repository(), Algorithm::Sha256, None).await;
    assert!(matches!(refused, Err(UploadError::Unavailable { .. })), "{refused:?}");
    settle(&gateway).await;
    world.revive(2);
    let object = world.session_object(session);
    assert_eq!(gateway.upload(&repository(), session).await.unwrap().offset_bytes, 300);
    gateway.append(&repository(), session, None, body(&bytes[300..], 50)).await.unwrap();
    gateway.finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await.unwrap();
    assert_eq!(pull(&gateway, &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
    assert!(world.profiles(object).iter().all(|profile| profile == "1+1"));
}

#[tokio::test]
async fn a_disk_that_is_full_after_all_is_avoided() {
    let world = World::new(&[1, 2, 1]);
    let gateway = world.gateway(1, small());
    world.fill(2, 0);
    let bytes = content(700);
    let digest = push(&gateway, &bytes).await.unwrap();
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    world.fill(2, 1);
    let digest = push(&gateway, &content(701)).await.unwrap();
    assert_only_on(&world, world.object_of(&digest), 2);
    world.fill(3, 0);
    let refused = push(&gateway, &content(702)).await;
    assert!(matches!(refused, Err(UploadError::NoSpace(_) | UploadError::Unavailable { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_only_disk_that_fills_up_is_no_space() {
    let world = World::new(&[1]);
    let gateway = world.gateway(1, small());
    world.fill(1, 0);
    let refused = push(&gateway, &content(700)).await;
    assert!(matches!(refused, Err(UploadError::NoSpace(_))), "{refused:?}");
}

#[tokio::test]
async fn a_disk_that_does_not_sync_is_avoided() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    world.break_syncs(2, 0);
    let bytes = content(700);
    let digest = push(&gateway, &bytes).await.unwrap();
    assert_only_on(&world, world.object_of(&digest), 2);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    settle(&gateway).await;
    assert_eq!(world.strays(&[world.object_of(&digest)]), 0);
}

#[tokio::test]
async fn a_single_node_bears_the_loss_of_a_disk() {
    let world = World::new(&[3]);
    let gateway = world.gateway(1, small());
    world.fill(1, 2);
    let bytes = content(700);
    let digest = push(&gateway, &bytes).await.unwrap();
    assert!(world.profiles(world.object_of(&digest)).iter().all(|profile| profile == "1+1"));
    for place in world.shards() {
        if place.0.disk.0[1] == 0 {
            world.remove(&place);
        }
    }
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}
