//! Manifests, tags and referrers.

use storage::kv::Bytes;

use super::store::*;
use crate::catalog::table::{CatalogClock, RequestExpiries, Requests};
use crate::catalog::*;
use crate::machine::Transaction;
use crate::policy::GRACE_SECONDS;
use crate::table::Table;

const NEW: Response = Response::ManifestStored { created: true, tags: Vec::new() };
const KNOWN: Response = Response::ManifestStored { created: false, tags: Vec::new() };

/// All rows but those of the queues, where each request is remembered.
fn content(store: &Store) -> Vec<(&'static str, Vec<storage::kv::Pair>)> {
    dump(&store.engine).into_iter().filter(|(column, _)| *column != "queues").collect()
}

#[test]
fn a_manifest_is_stored_with_its_exact_bytes_and_tags() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    assert_eq!(store.put(manifest("app", 10, &["latest", "v1"], &[1, 1])), NEW);
    let record = store.view().manifest(&repository("app"), &digest(10)).unwrap().unwrap();
    assert_eq!((record.tags, record.blobs.as_slice(), record.pushed), (2, [digest(1)].as_slice(), store.now));
    let bytes = store.view().manifest_bytes(&repository("app"), &digest(10)).unwrap().unwrap();
    assert_eq!(bytes, Bytes::from_static(b"manifest 10"));
    let set = store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap();
    assert_eq!((set.digest, set.sequence), (digest(10), 4));
    assert_eq!(store.view().tags_of(&repository("app"), &digest(10), None, 9).unwrap(), [tag("latest"), tag("v1")]);
    assert_eq!(store.view().manifests_using(&repository("app"), &digest(1), 9).unwrap(), [digest(10)]);
    let kinds = store.events();
    assert!(matches!(kinds[1], EventKind::ManifestStored { length_bytes: 11, .. }));
    assert!(matches!(&kinds[2], EventKind::TagSet { tag, previous: None, .. } if tag.as_str() == "latest"));
    assert!(store.garbage().is_empty());
}

#[test]
fn a_manifest_that_names_invisible_blobs_changes_nothing() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.push(2, "other", 2);
    let before = dump(&store.engine);
    let response = store.put(manifest("app", 10, &["latest"], &[1, 2, 3]));
    assert_eq!(response, Response::ManifestBlobsUnknown { digests: vec![digest(2), digest(3)] });
    // The refusal itself is remembered for a while. Without that the store is what it was.
    let remembered = Requests::scan::<()>(&store.engine, (), None, usize::MAX).unwrap();
    let [(request, answered)] = remembered.as_slice() else { panic!("{remembered:?}") };
    assert_eq!(*answered, response);
    let expires = store.now.plus_seconds(REQUEST_RETENTION_SECONDS);
    let expiries = RequestExpiries::scan::<()>(&store.engine, (), None, usize::MAX).unwrap();
    assert_eq!(expiries, [((expires, *request), ())]);
    let clock = CatalogClock::get(&store.engine, ()).unwrap().unwrap();
    assert_eq!(clock.first_request_expiry, Some(expires));
    let mut forgetting = Transaction::new(store.engine.as_ref());
    Requests::delete(&mut forgetting, request);
    RequestExpiries::delete(&mut forgetting, (&expires, request));
    CatalogClock::put(&mut forgetting, (), &ClockRecord { first_request_expiry: None, ..clock });
    store.engine.write(forgetting.into_batch()).unwrap();
    assert_eq!(dump(&store.engine), before);
    let many: Vec<u8> = (100..140).collect();
    let Response::ManifestBlobsUnknown { digests } = store.put(manifest("app", 10, &[], &many)) else { panic!() };
    assert_eq!(digests.len(), UNKNOWN_BLOBS_NAMED);
}

#[test]
fn a_manifest_pushed_again_only_moves_tags() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    assert_eq!(store.put(manifest("app", 10, &["latest"], &[1])), NEW);
    let (events, before) = (store.events().len(), content(&store));
    assert_eq!(store.put(manifest("app", 10, &["latest"], &[1])), KNOWN);
    assert_eq!((store.events().len(), content(&store)), (events, before), "no event, no change");
    assert_eq!(store.put(manifest("app", 10, &["v2"], &[1])), KNOWN);
    let kinds = store.events();
    assert!(matches!(&kinds[events..], [EventKind::TagSet { previous: None, .. }]));
    let counts = store.view().repository(&repository("app")).unwrap().unwrap();
    assert_eq!((counts.manifests, counts.tags), (1, 2));
    assert_eq!(store.view().blob(&digest(1)).unwrap().unwrap().references, 1);
}

#[test]
fn a_manifest_pushed_under_another_type_is_described_anew() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[]));
    assert_eq!(store.garbage(), [link_item("app", 1)]);
    let again = PutManifest { media_type: "application/x".to_owned(), ..manifest("app", 10, &[], &[1]) };
    assert_eq!(store.put(again), KNOWN);
    let record = store.view().manifest(&repository("app"), &digest(10)).unwrap().unwrap();
    assert_eq!((record.media_type.as_str(), record.tags), ("application/x", 1));
    assert!(store.garbage().is_empty(), "the blob is used now");
    store.put(manifest("app", 10, &[], &[]));
    assert_eq!(store.garbage(), [link_item("app", 1)], "and now it is not");
}

#[test]
fn a_moved_tag_leaves_its_old_manifest_in_the_queue() {
    let mut store = Store::collecting();
    store.put(manifest("app", 10, &["latest"], &[]));
    store.put(manifest("app", 11, &["latest"], &[]));
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 10)]);
    let previous = store.events().into_iter().rev().find_map(|kind| match kind {
        EventKind::TagSet { previous, .. } => Some(previous),
        _ => None,
    });
    assert_eq!(previous, Some(Some(digest(10))));
    assert_eq!(store.view().totals().unwrap().tags, 1);
    store.put(manifest("app", 10, &["old"], &[]));
    assert!(store.manifest_garbage().is_empty(), "it is held again");
}

#[test]
fn an_index_holds_its_children_whichever_comes_first() {
    let mut store = Store::collecting();
    store.put(manifest("app", 10, &[], &[]));
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 10)]);
    store.put(index("app", 20, &["latest"], &[10, 11]));
    assert!(store.manifest_garbage().is_empty());
    store.put(manifest("app", 11, &[], &[]));
    assert!(store.manifest_garbage().is_empty());
    assert_eq!(store.view().parents(&repository("app"), &digest(11), None, 9).unwrap(), [digest(20)]);
    store.apply(delete_manifest("app", 20));
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 10), manifest_item(&store, "app", 11)]);
}

#[test]
fn a_subject_holds_its_referrers_whichever_comes_first() {
    let mut store = Store::collecting();
    store.put(referrer("app", 30, 10));
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 30)]);
    let listed = store.view().referrers(&repository("app"), &digest(10), None, 9).unwrap();
    assert_eq!(listed[0].0, digest(30), "a missing subject is no obstacle");
    assert_eq!(listed[0].1.artifact_type.as_deref(), Some("application/spdx+json"));
    store.put(manifest("app", 10, &["latest"], &[]));
    assert!(store.manifest_garbage().is_empty());
    store.put(referrer("app", 31, 10));
    assert!(store.manifest_garbage().is_empty());
    let rest = store.view().referrers(&repository("app"), &digest(10), Some(&digest(30)), 9).unwrap();
    assert_eq!(rest.len(), 1);
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.manifest_garbage().len(), 2);
    assert_eq!(store.view().referrers(&repository("app"), &digest(10), None, 9).unwrap().len(), 2);
    store.apply(delete_manifest("app", 30));
    assert_eq!(store.view().referrers(&repository("app"), &digest(10), None, 9).unwrap().len(), 1);
}

#[test]
fn an_untagged_manifest_pushed_again_gets_a_new_grace() {
    let mut store = Store::collecting();
    store.put(manifest("app", 10, &[], &[]));
    store.wait(100);
    store.put(manifest("app", 10, &[], &[]));
    let queued = store.view().garbage(crate::time::Timestamp(u64::MAX), 9).unwrap();
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].0, touched_deadline(store.now, GRACE_SECONDS));
}

#[test]
fn a_manifest_cannot_name_itself() {
    let mut store = Store::new();
    assert!(matches!(store.put(index("app", 10, &[], &[10])), Response::Malformed { .. }));
    assert!(matches!(store.put(referrer("app", 10, 10)), Response::Malformed { .. }));
}

#[test]
fn tags_and_repositories_are_listed_in_lexical_order_behind_any_text() {
    let mut store = Store::new();
    for name in ["b", "a/c", "a", "a-b"] {
        store.put(manifest(name, 10, &["v1", "V2", "v1.0", "v10"], &[]));
    }
    let names = |last| {
        let names = store.view().repositories(last, 9).unwrap();
        names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["a", "a-b", "a/c", "b"]);
    assert_eq!(names(Some("a")), ["a-b", "a/c", "b"]);
    assert_eq!(names(Some("a/")), ["a/c", "b"]);
    assert_eq!(names(Some("B")), ["a", "a-b", "a/c", "b"]);
    assert_eq!(names(Some("ü\0")), [""; 0]);
    let from = |first| {
        let names = store.view().repositories_from(first, 9).unwrap();
        names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!([from(""), from("A")], [["a", "a-b", "a/c", "b"]; 2]);
    assert_eq!((from("a-b"), from("a/"), from("a0")), (names(Some("a")), names(Some("a/")), names(Some("a/c"))));
    assert_eq!(from("ü"), [""; 0]);
    let tags = |last| {
        let tags = store.view().tags(&repository("a"), last, 3).unwrap();
        tags.iter().map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tags(None), ["V2", "v1", "v1.0"]);
    assert_eq!(tags(Some("v1")), ["v1.0", "v10"]);
    assert_eq!(tags(Some("")), ["V2", "v1", "v1.0"]);
    assert_eq!(tags(Some("ü")), [""; 0]);
    assert!(store.view().tags(&repository("a"), None, 0).unwrap().is_empty());
}
