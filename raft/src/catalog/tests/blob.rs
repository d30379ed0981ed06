//! Mount, touch and unlink.

use super::store::*;
use crate::catalog::*;
use crate::policy::GRACE_SECONDS;

#[test]
fn a_blob_is_mounted_from_a_repository_that_links_it() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    assert_eq!(store.apply(mount("other", 1, Some("nowhere"))), Response::BlobUnknown);
    assert_eq!(store.apply(mount("other", 9, Some("app"))), Response::BlobUnknown);
    assert_eq!(store.apply(mount("other", 1, Some("app"))), Response::Mounted { length_bytes: 8 });
    assert_eq!(store.apply(mount("other", 1, Some("app"))), Response::Mounted { length_bytes: 8 });
    let linked = EventKind::BlobLinked {
        repository: repository("other"),
        digest: digest(1),
        length_bytes: 8,
        mounted_from: Some(repository("app")),
    };
    assert_eq!(store.events()[1..], [linked]);
    let counts = store.view().repository(&repository("other")).unwrap().unwrap();
    assert_eq!((counts.links, counts.linked_bytes), (1, 8));
}

#[test]
fn a_blob_is_mounted_from_anywhere_as_long_as_somebody_links_it() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    assert_eq!(store.apply(mount("other", 1, None)), Response::Mounted { length_bytes: 8 });
    store.apply(unlink("app", 1));
    store.apply(unlink("other", 1));
    assert_eq!(store.apply(mount("other", 1, None)), Response::BlobUnknown);
}

#[test]
fn a_touch_moves_the_deadlines_but_not_too_often() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let deadlines = |store: &Store| {
        let all = store.view().garbage(crate::time::Timestamp(u64::MAX), 9).unwrap();
        all.into_iter().map(|(deadline, _)| deadline).collect::<Vec<_>>()
    };
    let interval = touch_interval_seconds(GRACE_SECONDS);
    let first = store.now.plus_seconds(interval + GRACE_SECONDS);
    let needs_touch = |store: &Store| store.view().needs_touch(&repository("app"), &digest(1), store.now).unwrap();
    assert_eq!(deadlines(&store), [first]);
    store.wait(interval);
    assert!(!needs_touch(&store));
    assert_eq!(store.apply(touch("app", 1)), Response::Done);
    assert_eq!(deadlines(&store), [first]);
    store.wait(1);
    assert!(needs_touch(&store));
    assert_eq!(store.apply(touch("app", 1)), Response::Done);
    assert!(!needs_touch(&store));
    assert_eq!(deadlines(&store), [first.plus_seconds(interval + 1)]);
    assert!(store.view().garbage(first, 9).unwrap().is_empty());
    assert_eq!(store.apply(touch("other", 1)), Response::BlobUnknown);
    assert_eq!(store.apply(touch("app", 2)), Response::BlobUnknown);
}

#[test]
fn a_touch_of_a_used_blob_changes_nothing() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.wait(2 * GRACE_SECONDS);
    assert!(!store.view().needs_touch(&repository("app"), &digest(1), store.now).unwrap());
    let before = dump(&store.engine);
    assert_eq!(store.apply(touch("app", 1)), Response::Done);
    assert_eq!(dump(&store.engine), before);
}

#[test]
fn a_blob_that_a_manifest_of_the_repository_uses_cannot_be_unlinked() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.apply(mount("other", 1, None));
    store.put(manifest("app", 10, &["latest"], &[1]));
    assert_eq!(store.apply(unlink("app", 1)), Response::BlobInUse { manifest: digest(10) });
    assert_eq!(store.apply(unlink("other", 1)), Response::Done);
    assert_eq!(store.apply(unlink("other", 1)), Response::BlobUnknown);
    assert!(store.view().repository(&repository("other")).unwrap().is_none(), "a repository without content is gone");
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.apply(unlink("app", 1)), Response::Done);
    assert!(store.view().repositories(None, 9).unwrap().is_empty());
    let deadline = store.deadline(&blob_item(&store, 1)).unwrap();
    assert_eq!(deadline, touched_deadline(store.now, GRACE_SECONDS), "the bytes wait for their grace");
}
