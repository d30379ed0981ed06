//! Deletion of tags and manifests.

use super::store::*;
use crate::catalog::*;

#[test]
fn deleting_a_tag_leaves_the_manifest() {
    let mut store = Store::collecting();
    store.put(manifest("app", 10, &["a", "b"], &[]));
    assert_eq!(store.apply(delete_tag("app", "c")), Response::TagUnknown);
    assert_eq!(store.apply(delete_tag("other", "a")), Response::TagUnknown);
    assert_eq!(store.apply(delete_tag("app", "a")), DELETED);
    assert!(store.manifest_garbage().is_empty(), "another tag holds it");
    assert_eq!(store.apply(delete_tag("app", "b")), DELETED);
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 10)]);
    assert!(store.view().manifest(&repository("app"), &digest(10)).unwrap().is_some());
    assert!(matches!(store.events().last(), Some(EventKind::TagDeleted { .. })));
    assert_eq!(store.apply(delete_tag("app", "b")), Response::TagUnknown);
}

#[test]
fn deleting_a_manifest_takes_its_tags_and_frees_its_blobs() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["a", "b"], &[1]));
    store.put(manifest("app", 11, &["c"], &[1]));
    assert_eq!(store.apply(delete_manifest("app", 12)), Response::ManifestUnknown);
    let events = store.events().len();
    assert_eq!(store.apply(delete_manifest("app", 10)), DELETED);
    assert_eq!(store.view().tags(&repository("app"), None, 9).unwrap(), [tag("c")]);
    assert!(store.view().manifest_bytes(&repository("app"), &digest(10)).unwrap().is_none());
    assert_eq!(store.deadline(&link_item("app", 1)), None, "another manifest uses the blob");
    assert!(matches!(
        &store.events()[events..],
        [EventKind::TagDeleted { .. }, EventKind::TagDeleted { .. }, EventKind::ManifestDeleted { .. }]
    ));
    assert_eq!(store.apply(delete_manifest("app", 11)), DELETED);
    assert!(store.deadline(&link_item("app", 1)).is_some());
    assert!(
        store.view().linked_blob(&repository("app"), &digest(1)).unwrap().is_some(),
        "visible until its grace ends"
    );
    assert!(store.view().repository(&repository("app")).unwrap().is_some());
}

#[test]
fn an_answer_names_the_tags_that_moved_or_went_and_what_they_pointed_to() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["a", "b"], &[]));
    let stored = |created, tags: &[(&str, Option<u8>)]| {
        let tags = tags.iter().map(|(name, before)| (tag(name), before.map(digest))).collect();
        Some(Response::ManifestStored { created, tags })
    };
    assert_eq!(store.answer, stored(true, &[("a", None), ("b", None)]));
    store.put(manifest("app", 11, &["a", "c"], &[]));
    assert_eq!(store.answer, stored(true, &[("a", Some(10)), ("c", None)]));
    store.put(manifest("app", 11, &["a", "b"], &[]));
    assert_eq!(store.answer, stored(false, &[("b", Some(10))]), "one that stays where it is has not moved");
    store.apply(delete_tag("app", "c"));
    assert_eq!(store.answer, Some(Response::Deleted { tags: vec![(tag("c"), digest(11))] }));
    store.apply(delete_manifest("app", 11));
    let gone = ["a", "b"].map(|name| (tag(name), digest(11))).to_vec();
    assert_eq!(store.answer, Some(Response::Deleted { tags: gone }));
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.answer, Some(DELETED));
}

#[test]
fn a_repository_without_content_disappears() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["a"], &[]));
    assert_eq!(store.view().totals().unwrap().repositories, 1);
    store.apply(delete_manifest("app", 10));
    assert!(store.view().repositories(None, 9).unwrap().is_empty());
    let totals = store.view().totals().unwrap();
    let garbage = GarbageTotals { tombstones: 1, histories: 1, ..GarbageTotals::default() };
    assert_eq!(totals, TotalsRecord { garbage, ..TotalsRecord::default() });
}

#[test]
fn a_manifest_pushed_after_its_deletion_is_another_generation() {
    let mut store = Store::collecting();
    store.put(manifest("app", 10, &[], &[]));
    let first = manifest_item(&store, "app", 10);
    store.apply(delete_manifest("app", 10));
    store.put(manifest("app", 10, &[], &[]));
    assert_ne!(manifest_item(&store, "app", 10), first);
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 10)]);
}

#[test]
fn deleting_a_child_leaves_a_sparse_index() {
    let mut store = Store::collecting();
    store.put(manifest("app", 10, &[], &[]));
    store.put(index("app", 20, &["latest"], &[10]));
    assert_eq!(store.apply(delete_manifest("app", 10)), DELETED);
    assert!(store.view().manifest(&repository("app"), &digest(20)).unwrap().is_some());
    store.put(manifest("app", 10, &[], &[]));
    assert!(store.manifest_garbage().is_empty(), "the index holds it when it comes back");
}
