//! Existence, touches, mounts and deletes.

use raft::catalog::TOUCH_INTERVAL_SECONDS_MAX;

use super::world::*;
use crate::gateway::BlobError;

#[tokio::test]
async fn a_head_touches_what_nothing_references_but_not_each_time() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let digest = push(&gateway, &content(100)).await.unwrap();
    world.commands();
    assert_eq!(gateway.stat_blob(&repository(), &digest).await, Ok(100));
    assert!(world.commands().is_empty());
    world.wait(TOUCH_INTERVAL_SECONDS_MAX + 1);
    world.commands();
    for _ in 0..3 {
        assert_eq!(gateway.stat_blob(&repository(), &digest).await, Ok(100));
    }
    assert_eq!(world.commands(), ["TouchBlob"]);
    assert_eq!(gateway.stat_blob(&repository(), &sha256(b"no")).await, Err(BlobError::Unknown));
    assert!(matches!(gateway.open_blob(&repository(), &sha256(b"no")).await, Err(BlobError::Unknown)));
}

#[tokio::test]
async fn blobs_are_mounted_and_unlinked() {
    let world = World::new(&[1]);
    let gateway = world.gateway(1, small());
    let bytes = content(100);
    let digest = push(&gateway, &bytes).await.unwrap();
    let other = "acme/other".parse().unwrap();
    assert_eq!(gateway.stat_blob(&other, &digest).await, Err(BlobError::Unknown));
    assert_eq!(gateway.mount_blob(&other, &sha256(b"no"), None, None).await, Ok(None));
    assert_eq!(gateway.mount_blob(&other, &digest, Some(&repository()), None).await, Ok(Some(100)));
    assert_eq!(gateway.stat_blob(&other, &digest).await, Ok(100));
    assert_eq!(gateway.unlink_blob(&repository(), &digest, None).await, Ok(()));
    assert_eq!(gateway.unlink_blob(&repository(), &digest, None).await, Err(BlobError::Unknown));
    assert_eq!(gateway.open_blob(&other, &digest).await.unwrap().length_bytes(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_lost_blob_is_unknown_to_who_would_push_it_until_it_was() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let (bytes, other) = (content(700), "acme/other".parse().unwrap());
    let digest = push(&gateway, &bytes).await.unwrap();
    let lose = |shard: u8| {
        let shards = world.shards();
        shards.iter().filter(|(_, name)| name.shard.0 == shard).for_each(|place| world.remove(place));
    };
    lose(1);
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
    settle(&gateway).await;
    world.wait(3600);
    assert_eq!(gateway.stat_blob(&repository(), &digest).await, Ok(700), "one shard is borne");
    lose(0);
    assert!(pull(&gateway, &digest, 0..u64::MAX).await.is_err());
    settle(&gateway).await;
    assert_eq!(gateway.stat_blob(&repository(), &digest).await, Err(BlobError::Unknown));
    assert_eq!(gateway.mount_blob(&other, &digest, Some(&repository()), None).await, Ok(None));
    push(&gateway, &bytes).await.unwrap();
    assert_eq!(gateway.stat_blob(&repository(), &digest).await, Ok(700));
    assert_eq!(gateway.mount_blob(&other, &digest, Some(&repository()), None).await, Ok(Some(700)));
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}
