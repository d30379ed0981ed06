//! Existence, touches, mounts and deletes.

use raft::catalog::TOUCH_INTERVAL_SECONDS;

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
    world.wait(TOUCH_INTERVAL_SECONDS);
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
    assert_eq!(gateway.mount_blob(&other, &sha256(b"no"), None).await, Ok(None));
    assert_eq!(gateway.mount_blob(&other, &digest, Some(&repository())).await, Ok(Some(100)));
    assert_eq!(gateway.stat_blob(&other, &digest).await, Ok(100));
    assert_eq!(gateway.unlink_blob(&repository(), &digest).await, Ok(()));
    assert_eq!(gateway.unlink_blob(&repository(), &digest).await, Err(BlobError::Unknown));
    assert_eq!(gateway.open_blob(&other, &digest).await.unwrap().length_bytes(), 100);
}
