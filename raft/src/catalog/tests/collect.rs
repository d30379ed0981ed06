//! Collection of garbage: what goes, when, and what must not.

use storage::shard::ShardIndex;

use super::store::*;
use crate::catalog::*;
use crate::policy::{GRACE_SECONDS, NamespacePolicy, RESTORE_SECONDS, Untagged};
use crate::time::Timestamp;

fn graces(grace_seconds: u64, restore_seconds: u64) -> NamespacePolicy {
    NamespacePolicy {
        grace_seconds: Some(grace_seconds),
        restore_seconds: Some(restore_seconds),
        ..NamespacePolicy::default()
    }
}

/// A catalog where nothing waits.
fn hasty() -> Store {
    let mut store = Store::new();
    let untagged = Some(Untagged::Collect { after_seconds: 0 });
    store.sync_policy("", Some(NamespacePolicy { untagged, ..graces(0, 0) }));
    store
}

#[test]
fn an_unused_blob_goes_with_its_link_a_grace_after_the_last_touch() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let whole = GRACE_SECONDS + touch_interval_seconds(GRACE_SECONDS);
    store.wait(GRACE_SECONDS);
    store.apply(touch("app", 1));
    store.wait(whole - 1);
    assert_eq!(
        store.apply(Command::CollectGarbage { limit: 9 }),
        Response::Collected { items: 0, bytes: 0, more: false }
    );
    store.wait(1);
    // The blob was last heard of by its link, and is due with it.
    assert_eq!(
        store.apply(Command::CollectGarbage { limit: 9 }),
        Response::Collected { items: 1, bytes: 0, more: true }
    );
    assert!(store.view().linked_blob(&repository("app"), &digest(1)).unwrap().is_none());
    assert_eq!(
        store.apply(Command::CollectGarbage { limit: 9 }),
        Response::Collected { items: 1, bytes: 8, more: false }
    );
    assert!(store.view().blob(&digest(1)).unwrap().is_none());
    assert!(store.view().object(object(1)).unwrap().is_none());
    assert_eq!(store.discards().len(), 1, "its shards wait until no reader can hold them");
    let totals = store.view().totals().unwrap();
    assert_eq!((totals.collected_items, totals.collected_bytes), (2, 8));
    assert_eq!(totals.last_collected, Some(store.now));
    assert_eq!((totals.blobs, totals.unreferenced_bytes, totals.discarded_bytes), (0, 0, 12));
}

#[test]
fn a_collected_blob_does_not_exist_and_is_new_when_it_is_pushed_again() {
    let mut store = hasty();
    store.push(1, "app", 1);
    let before = store.view().blob(&digest(1)).unwrap().unwrap();
    assert_eq!(store.collect(), (2, 8));
    assert_eq!(store.apply(mount("other", 1, Some("app"))), Response::BlobUnknown);
    assert_eq!(store.apply(mount("other", 1, None)), Response::BlobUnknown);
    assert_eq!(store.apply(touch("app", 1)), Response::BlobUnknown);
    assert_eq!(store.apply(unlink("app", 1)), Response::BlobUnknown);
    let put = manifest("app", 10, &["latest"], &[1]);
    assert_eq!(store.put(put.clone()), Response::ManifestBlobsUnknown { digests: vec![digest(1)] });
    assert_eq!(store.finish(1, Vec::new(), 1), Response::UploadUnknown, "its session has nothing to show either");
    assert_eq!(store.push(2, "app", 1), Response::Published { new_object: true, length_bytes: 8 });
    let after = store.view().linked_blob(&repository("app"), &digest(1)).unwrap().unwrap();
    assert_eq!(after.object, object(2));
    assert!(after.generation > before.generation);
    assert_eq!(store.discards().iter().map(|key| key.object).collect::<Vec<_>>(), [object(1)]);
    assert_eq!(store.put(put), Response::ManifestStored { created: true, tags: Vec::new() });
    store.apply(Command::Swept { discards: store.discards() });
    assert_eq!(store.collect(), (0, 0));
    assert_eq!(store.layout(object(2), 0).unwrap().shards.len(), 3, "a late sweep does not hit the new one");
}

#[test]
fn a_blob_that_waits_is_saved_by_another_push() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.apply(unlink("app", 1));
    let item = blob_item(&store, 1);
    assert_eq!(store.garbage(), std::slice::from_ref(&item));
    // The bytes are whole: the old ones are kept, and are garbage no more.
    assert_eq!(store.push(2, "app", 1), Response::Published { new_object: false, length_bytes: 8 });
    assert_eq!(store.garbage(), [link_item("app", 1)]);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.wait(3 * GRACE_SECONDS);
    assert_eq!(store.collect(), (0, 0));
    assert_eq!(store.deadline(&item), None);
}

#[test]
fn a_damaged_blob_that_waits_is_replaced_under_another_generation() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let attempt = store.attempt(object(1), 0);
    let shortfall = Shortfall { missing: vec![ShardIndex(1)], reason: ShortfallReason::ReadMissing };
    let extent = storage::shard::ExtentIndex(0);
    store.apply(Command::ReportShortfall { object: object(1), extent, attempt, shortfall });
    store.apply(unlink("app", 1));
    let old = blob_item(&store, 1);
    assert_eq!(store.push(2, "app", 1), Response::Published { new_object: true, length_bytes: 8 });
    assert_ne!(blob_item(&store, 1), old);
    assert_eq!(store.deadline(&old), None);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.wait(3 * GRACE_SECONDS);
    assert_eq!(store.collect(), (0, 0));
    assert_eq!(store.view().blob(&digest(1)).unwrap().unwrap().object, object(2));
}

#[test]
fn an_image_goes_from_the_manifest_to_the_last_byte() {
    let mut store = Store::collecting();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.put(manifest("app", 11, &["latest"], &[]));
    store.wait(GRACE_SECONDS + touch_interval_seconds(GRACE_SECONDS) - 1);
    assert_eq!(store.collect(), (0, 0));
    store.wait(1);
    assert_eq!(store.collect(), (1, 0));
    assert!(store.view().manifest(&repository("app"), &digest(10)).unwrap().is_none());
    assert!(store.view().tombstones(&repository("app"), None, 9).unwrap().is_empty(), "nothing is kept of garbage");
    assert!(matches!(store.events().last(), Some(EventKind::ManifestDeleted { .. })));
    // As long as the manifest was there, a client may have heard of its blob.
    store.wait(GRACE_SECONDS + touch_interval_seconds(GRACE_SECONDS));
    assert_eq!(store.collect(), (2, 8));
    assert!(store.garbage().is_empty());
}

#[test]
fn untagged_manifests_are_kept_where_the_policy_says_so() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["latest"], &[]));
    store.put(manifest("app", 11, &["latest"], &[]));
    assert!(store.garbage().is_empty());
    let unheld = store.view().unheld(&repository("app"), &digest(10)).unwrap();
    assert_eq!(unheld, Some(UnheldRecord { since: store.now, orphaned: false, deleted: false }));
    store.put(index("app", 20, &["all"], &[10]));
    assert_eq!(store.view().unheld(&repository("app"), &digest(10)).unwrap(), None);
}

#[test]
fn a_child_that_a_client_was_told_of_waits_a_grace_for_its_index() {
    let mut store = Store::new();
    let collect = NamespacePolicy { untagged: Some(Untagged::Collect { after_seconds: 0 }), ..graces(100, 0) };
    store.sync_policy("", Some(collect));
    store.put(manifest("app", 10, &[], &[]));
    let needs_touch =
        |store: &Store| store.view().manifest_needs_touch(&repository("app"), &digest(10), store.now).unwrap();
    assert!(!needs_touch(&store), "it was just pushed");
    store.wait(100);
    assert!(needs_touch(&store));
    let touch = || Command::TouchManifest { repository: repository("app"), digest: digest(10) };
    assert_eq!(store.apply(touch()), Response::Done);
    assert!(!needs_touch(&store));
    store.wait(100);
    store.collect();
    store.put(index("app", 20, &["latest"], &[10]));
    assert!(store.manifest_garbage().is_empty());
    assert_eq!(store.apply(touch()), Response::Done, "what is held needs none");
    store.apply(delete_manifest("app", 20));
    store.wait(200);
    store.collect();
    assert_eq!(store.apply(touch()), Response::ManifestUnknown);
}

#[test]
fn a_referrer_dies_with_its_subject_and_its_own_children_with_it() {
    let mut store = Store::new();
    store.sync_policy("", Some(graces(100, 0)));
    store.put(manifest("app", 10, &["latest"], &[]));
    store.put(manifest("app", 11, &[], &[]));
    store.put(PutManifest { children: vec![digest(11)], ..referrer("app", 30, 10) });
    store.put(PutManifest { tags: vec![tag("sbom")], ..referrer("app", 31, 10) });
    store.put(referrer("app", 32, 30));
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 30)], "a tag holds the other one");
    let wait = 100 + touch_interval_seconds(100);
    store.wait(wait);
    store.collect();
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 11), manifest_item(&store, "app", 32)]);
    store.wait(wait);
    store.collect();
    assert!(store.manifest_garbage().is_empty());
    assert_eq!(store.view().totals().unwrap().manifests, 1);
}

#[test]
fn a_referrer_that_waits_is_saved_by_its_subject() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["latest"], &[]));
    store.put(referrer("app", 30, 10));
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 30)]);
    store.put(manifest("app", 10, &[], &[]));
    assert!(store.manifest_garbage().is_empty());
    assert!(store.view().tombstone(&repository("app"), &digest(10)).unwrap().is_none(), "it is there");
}

#[test]
fn children_of_an_index_that_a_client_deletes_are_untagged_like_others() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &[], &[]));
    store.put(index("app", 20, &["latest"], &[10]));
    store.apply(delete_manifest("app", 20));
    assert!(store.manifest_garbage().is_empty());
    let unheld = store.view().unheld(&repository("app"), &digest(10)).unwrap();
    assert_eq!(unheld, Some(UnheldRecord { since: store.now, orphaned: false, deleted: true }));
}

#[test]
fn what_a_deleted_manifest_used_stays_as_long_as_it_can_be_restored() {
    let mut store = Store::new();
    store.sync_policy("", Some(graces(10, 1000)));
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.put(manifest("app", 11, &["other"], &[1]));
    store.apply(delete_manifest("app", 10));
    // The other one is deleted without a window of its own: the first one's holds.
    store.sync_policy("", Some(graces(10, 0)));
    store.apply(delete_manifest("app", 11));
    assert_eq!(store.deadline(&link_item("app", 1)), Some(store.now.plus_seconds(1000)));
    store.wait(999);
    store.collect();
    assert!(store.view().linked_blob(&repository("app"), &digest(1)).unwrap().is_some());
    store.wait(1);
    store.collect();
    assert!(store.view().blob(&digest(1)).unwrap().is_none());
    assert!(store.garbage().is_empty());
}

#[test]
fn with_a_grace_of_zero_everything_goes_at_once_and_what_is_used_stays() {
    let mut store = hasty();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.push(2, "app", 2);
    store.put(manifest("app", 11, &[], &[2]));
    // The manifest, its link, its blob.
    assert_eq!(store.collect(), (3, 8));
    assert_eq!(store.collect(), (0, 0));
    assert_eq!(store.view().totals().unwrap().manifests, 1);
    store.apply(delete_manifest("app", 10));
    // The history of its tag, the link, the blob.
    assert_eq!(store.collect(), (3, 8));
    assert!(store.view().repositories(None, 9).unwrap().is_empty());
    assert!(store.garbage().is_empty());
}

#[test]
fn a_shorter_grace_does_not_break_an_older_promise_and_a_longer_one_is_kept() {
    let mut store = Store::new();
    store.sync_policy("", Some(graces(1000, 0)));
    store.push(1, "app", 1);
    let promised = store.deadline(&link_item("app", 1)).unwrap();
    store.sync_policy("", Some(graces(0, 0)));
    store.apply(touch("app", 1));
    assert_eq!(store.deadline(&link_item("app", 1)), Some(promised));
    store.sync_policy("", Some(graces(50_000, 0)));
    store.apply(touch("app", 1));
    assert!(store.deadline(&link_item("app", 1)).unwrap() >= store.now.plus_seconds(50_000));
}

#[test]
fn a_collection_is_bounded_by_items_and_by_what_they_hold() {
    let mut store = hasty();
    for number in 1..=5 {
        store.push(number, "app", number);
    }
    store.start(9, "app");
    for _ in 0..5 {
        let extents = store.extents(1000);
        store.advance(9, extents);
    }
    store.finish(9, Vec::new(), 9);
    let collect = |store: &mut Store, limit| match store.apply(Command::CollectGarbage { limit }) {
        Response::Collected { items, more, .. } => (items, more),
        response => panic!("{response:?}"),
    };
    assert_eq!(collect(&mut store, 0), (1, true), "a limit of nothing is one item");
    assert_eq!(collect(&mut store, 3), (3, true));
    assert_eq!(collect(&mut store, 2), (2, true));
    store.push(10, "app", 10);
    // The large blob is one of six that are due, and ends its command.
    let (first, more) = collect(&mut store, 100);
    assert!(more, "{first}");
    while collect(&mut store, 100).1 {}
    assert!(store.garbage().is_empty());
    assert_eq!(store.view().totals().unwrap().blobs, 0);
}

#[test]
fn the_first_deadline_is_told() {
    let mut store = Store::new();
    assert_eq!(store.view().garbage_next().unwrap(), None);
    store.push(1, "app", 1);
    let next = store.view().garbage_next().unwrap().unwrap();
    assert_eq!(next, touched_deadline(store.now, GRACE_SECONDS));
    store.wait(2 * GRACE_SECONDS);
    assert_eq!(store.view().garbage_next().unwrap(), Some(next));
    store.collect();
    assert_eq!(store.view().garbage_next().unwrap(), None);
    store.push(2, "app", 2);
    assert!(store.view().garbage_next().unwrap() > Some(store.now), "what was collected is not looked at again");
}

#[test]
fn pulls_are_noted_for_what_exists_and_go_with_it() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["latest"], &[]));
    let pulls = vec![(repository("app"), digest(10)), (repository("app"), digest(11)), (repository("no"), digest(10))];
    assert_eq!(store.apply(Command::RecordPulls { pulls: pulls.clone() }), Response::Count { count: 1 });
    assert_eq!(store.view().pulled(&repository("app"), &digest(10)).unwrap(), Some(store.now));
    store.wait(60);
    store.apply(Command::RecordPulls { pulls: pulls.clone() });
    assert_eq!(store.view().pulled(&repository("app"), &digest(10)).unwrap(), Some(store.now));
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.view().pulled(&repository("app"), &digest(10)).unwrap(), None);
    let many = pulls.into_iter().cycle().take(PULLS_PER_COMMAND + 1).collect();
    assert!(matches!(store.apply(Command::RecordPulls { pulls: many }), Response::Malformed { .. }));
}

#[test]
fn a_tag_leaves_its_history_for_a_while() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["latest"], &[]));
    store.apply(delete_tag("app", "latest"));
    let item = GarbageItem::TagHistory { repository: repository("app"), tag: tag("latest") };
    let deadline: Timestamp = store.now.plus_seconds(GRACE_SECONDS.max(RESTORE_SECONDS));
    assert_eq!(store.deadline(&item), Some(deadline));
    store.wait(GRACE_SECONDS.max(RESTORE_SECONDS));
    assert_eq!(store.collect(), (1, 0));
    assert!(store.view().tag_history(&repository("app"), &tag("latest"), 9).unwrap().is_empty());
}
