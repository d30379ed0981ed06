//! Garbage: what was deleted goes down to the last shard file, what a client was told of stays, a re-upload is another
//! object.

use raft::catalog::{Command, DISCARD_GRACE_SECONDS, Response};
use raft::policy::{GRACE_SECONDS, RESTORE_SECONDS};

use super::world::*;
use super::world_images::*;
use crate::deletion::testing::directory;
use crate::gateway::BlobError;

/// Longer than any grace of the defaults, touches included.
const LONG: u64 = GRACE_SECONDS + RESTORE_SECONDS + 2 * 3600;

#[tokio::test(start_paused = true)]
async fn what_was_deleted_goes_down_to_the_last_shard_file() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let kept = push_image(&gateway, &repository(), &content(300), "kept").await;
    let shards = world.shards().len();
    let gone = push_image(&gateway, &repository(), &content(700), "gone").await;
    let inline = push_image(&gateway, &repository(), b"tiny", "inline").await;
    let blob = sha256(&content(700));
    let tags = vec![("gone".parse().unwrap(), gone)];
    assert_eq!(delete(&gateway, &repository(), gone).await, Response::Deleted { tags }, "its tag goes with it");
    let tags = vec![("inline".parse().unwrap(), inline)];
    assert_eq!(delete(&gateway, &repository(), inline).await, Response::Deleted { tags }, "its tag goes with it");
    Office::open(&gateway, &directory).work(&gateway, 60).await;
    assert!(world.view().blob(&blob).unwrap().is_some(), "an operator may take the deletion back");
    world.wait(LONG);
    let metrics = Office::open(&gateway, &directory).work(&gateway, 60).await;
    assert!(metrics.collected_items.get() > 0 && metrics.collected_bytes.get() == 704);
    assert!(world.view().blob(&blob).unwrap().is_none());
    assert!(world.shards().len() > shards, "readers may still hold them");
    world.wait(DISCARD_GRACE_SECONDS);
    Office::open(&gateway, &directory).work(&gateway, 60).await;
    assert_eq!(world.shards().len(), shards);
    let totals = world.view().totals().unwrap();
    assert_eq!((totals.unreferenced_bytes, totals.discards, totals.discarded_bytes), (0, 0, 0));
    assert_eq!(totals.garbage.items(), 0);
    assert!(world.view().manifest(&repository(), &kept).unwrap().is_some());
    assert_eq!(pull(&gateway, &sha256(&content(300)), 0..u64::MAX).await.unwrap(), content(300));
}

#[tokio::test(start_paused = true)]
async fn a_head_is_a_lease_of_a_whole_grace() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let digest = push(&gateway, &content(200)).await.unwrap();
    for _ in 0..3 {
        world.wait(GRACE_SECONDS - 3600);
        assert_eq!(gateway.stat_blob(&repository(), &digest).await, Ok(200));
        world.wait(3000);
        Office::open(&gateway, &directory).work(&gateway, 30).await;
        assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), content(200));
    }
    world.wait(GRACE_SECONDS + 2 * 3600);
    Office::open(&gateway, &directory).work(&gateway, 30).await;
    assert_eq!(gateway.stat_blob(&repository(), &digest).await, Err(BlobError::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_re_upload_between_collection_and_sweep_is_another_object() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let bytes = content(500);
    let digest = push(&gateway, &bytes).await.unwrap();
    let before = world.object_of(&digest);
    world.wait(LONG);
    let office = Office::open(&gateway, &directory);
    let (mut collected, mut more) = (0, true);
    while more {
        let taken = office.deletion.collect_garbage().await.unwrap();
        collected += taken.bytes;
        more = taken.more;
    }
    assert_eq!(collected, 500);
    assert_eq!(gateway.stat_blob(&repository(), &digest).await, Err(BlobError::Unknown), "clients push it again");
    push_image(&gateway, &repository(), &bytes, "again").await;
    let after = world.object_of(&digest);
    assert_ne!(before, after);
    world.wait(LONG);
    office.work(&gateway, 60).await;
    assert_eq!(world.strays(&[after]), 0, "the old shards are gone");
    assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn garbage_goes_at_its_pace_unless_an_operator_wants_it_at_once() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    for number in 0..300_u32 {
        push(&gateway, &number.to_le_bytes()).await.unwrap();
    }
    world.wait(LONG);
    let office = Office::paced(&gateway, &directory, 10);
    let status = office.deletion.garbage().await.unwrap();
    assert_eq!((status.queued_by_kind["link"], status.due, status.overview.unreferenced_bytes), (300, 300, 1200));
    assert_eq!(status.forecast[0].bytes, 1200, "all of it is due");
    let deletion = office.deletion.clone();
    let metrics = office.work(&gateway, 10).await;
    let collected = metrics.collected_items.get();
    assert!((32..=160).contains(&collected), "{collected}");
    while deletion.collect_garbage().await.unwrap().more {}
    assert_eq!(world.view().totals().unwrap().garbage.items(), 0);
    assert_eq!(world.view().totals().unwrap().blobs, 0);
}

#[tokio::test(start_paused = true)]
async fn shards_of_a_removed_node_hold_no_set_back() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    push(&gateway, &content(500)).await.unwrap();
    world.wait(LONG);
    Office::open(&gateway, &directory).work(&gateway, 30).await;
    world.wait(DISCARD_GRACE_SECONDS);
    world.kill(3);
    Office::open(&gateway, &directory).work(&gateway, 30).await;
    assert!(world.view().totals().unwrap().discards > 0, "it may come back");
    world.keep_out(3);
    Office::open(&gateway, &directory).work(&gateway, 30).await;
    assert_eq!(world.view().totals().unwrap().discards, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_taken_back_with_its_tags() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let digest = push_image(&gateway, &repository(), &content(300), "v1").await;
    delete(&gateway, &repository(), digest).await;
    world.wait(RESTORE_SECONDS / 2);
    let office = Office::open(&gateway, &directory);
    let tombstones = office.deletion.tombstones(&repository(), None, 10).await.unwrap();
    assert_eq!(tombstones.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [digest]);
    let target = raft::catalog::RestoreTarget::Tag(tag("v1"));
    let restored = office.deletion.restore(&repository(), target.clone(), None).await.unwrap();
    assert_eq!((restored.digest, restored.tags), (digest, vec![tag("v1")]));
    let again = office.deletion.restore(&repository(), target, None).await.unwrap_err().to_string();
    assert!(again.contains("tag v1 in acme/app"), "{again}");
    let history = office.deletion.tag_history(&repository(), &tag("v1"), 10).await.unwrap();
    let digests: Vec<_> = history.iter().map(|change| change.digest).collect();
    assert_eq!(digests, [Some(digest), None, Some(digest)]);
    world.wait(LONG);
    office.work(&gateway, 30).await;
    assert_eq!(pull(&gateway, &sha256(&content(300)), 0..u64::MAX).await.unwrap(), content(300));
    let touched = Command::TouchBlob { repository: repository(), digest: sha256(&content(300)) };
    assert_eq!(gateway.core.propose(touched).await.unwrap(), Response::Done);
}
