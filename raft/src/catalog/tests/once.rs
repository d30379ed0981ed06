//! Requests that are repeated after a lost answer.

use super::store::*;
use crate::catalog::table::{RequestExpiries, Requests};
use crate::catalog::*;
use crate::table::Table;

fn remembered(store: &Store) -> usize {
    let requests = Requests::scan::<()>(&store.engine, (), None, usize::MAX).unwrap().len();
    assert_eq!(RequestExpiries::scan::<()>(&store.engine, (), None, usize::MAX).unwrap().len(), requests);
    requests
}

#[test]
fn a_repeated_push_does_not_move_a_tag_back() {
    let mut store = Store::new();
    let first = Command::PutManifest(manifest("app", 10, &["v1"], &[]));
    let stored = Response::ManifestStored { created: true, tags: Vec::new() };
    assert_eq!(store.apply_as(1, first.clone()), stored);
    assert_eq!(store.apply_as(2, Command::PutManifest(manifest("app", 11, &["v1"], &[]))), stored);
    let events = store.events();
    assert_eq!(store.apply_as(1, first.clone()), stored);
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(11));
    assert_eq!(store.events(), events);
    assert_eq!(store.apply_as(3, first), Response::ManifestStored { created: false, tags: Vec::new() });
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(10));
}

#[test]
fn a_repeated_push_does_not_bring_a_deleted_manifest_back() {
    let mut store = Store::new();
    let push = Command::PutManifest(manifest("app", 10, &["v1"], &[]));
    store.apply_as(1, push.clone());
    store.apply_as(2, delete_manifest("app", 10));
    assert_eq!(store.apply_as(1, push), Response::ManifestStored { created: true, tags: Vec::new() });
    assert!(store.view().manifest(&repository("app"), &digest(10)).unwrap().is_none());
}

#[test]
fn a_repeated_removal_is_answered_as_the_first() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["v1", "v2"], &[]));
    store.start(2, "app");
    let cancel = Command::CancelUpload { session: session(2), repository: repository("app") };
    let gone = |names: &[&str]| names.iter().map(|name| (tag(name), digest(10))).collect();
    let removals = [
        (delete_tag("app", "v1"), Response::Deleted { tags: gone(&["v1"]) }),
        (delete_manifest("app", 10), Response::Deleted { tags: gone(&["v2"]) }),
        (unlink("app", 1), Response::Done),
        (cancel, Response::Done),
    ];
    for (number, (removal, answer)) in (100..).zip(removals) {
        let answer = Some(answer);
        store.apply_as(number, removal.clone());
        assert_eq!(store.answer, answer);
        let before = dump(&store.engine);
        store.apply_as(number, removal.clone());
        assert_eq!((&store.answer, dump(&store.engine)), (&answer, before), "{removal:?}");
        store.apply_as(number + 50, removal);
        assert_ne!(store.answer, answer);
    }
}

#[test]
fn a_repeated_removal_spares_what_came_in_between() {
    let mut store = Store::new();
    let removal = delete_tag("app", "v1");
    store.apply_as(1, Command::PutManifest(manifest("app", 10, &["v1"], &[])));
    assert_eq!(store.apply_as(2, removal.clone()), DELETED);
    store.apply_as(3, Command::PutManifest(manifest("app", 11, &["v1"], &[])));
    assert_eq!(store.apply_as(2, removal), DELETED);
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(11));
}

#[test]
fn what_was_refused_does_not_happen_later() {
    let mut store = Store::new();
    let removal = delete_tag("app", "v1");
    assert_eq!(store.apply_as(1, removal.clone()), Response::TagUnknown);
    assert_eq!(remembered(&store), 1);
    store.apply_as(2, Command::PutManifest(manifest("app", 10, &["v1"], &[])));
    assert_eq!(store.apply_as(1, removal), Response::TagUnknown);
    assert!(store.view().tag(&repository("app"), &tag("v1")).unwrap().is_some());
}

#[test]
fn a_repeated_mount_does_not_bring_a_deleted_link_back() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let mount = mount("other", 1, None);
    let mounted = store.apply_as(100, mount.clone());
    assert!(matches!(mounted, Response::Mounted { .. }), "{mounted:?}");
    let removal = unlink("other", 1);
    assert_eq!(store.apply_as(101, removal), Response::Done);
    assert_eq!(store.apply_as(100, mount), mounted);
    assert!(store.view().link(&repository("other"), &digest(1)).unwrap().is_none());
}

#[test]
fn a_repeated_restoration_is_answered_as_the_first_and_spares_what_came_in_between() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["v1"], &[]));
    store.apply(delete_manifest("app", 10));
    let restored = Response::Restored { digest: digest(10), tags: vec![tag("v1")] };
    assert_eq!(store.apply_as(100, restore_manifest("app", 10)), restored);
    assert_eq!(store.apply_as(101, delete_manifest("app", 10)), DELETED);
    assert_eq!(store.apply_as(100, restore_manifest("app", 10)), restored);
    assert!(store.view().manifest(&repository("app"), &digest(10)).unwrap().is_none());
    // What was refused does not happen later either.
    assert_eq!(store.apply_as(102, restore_tag("app", "v2")), Response::NothingToRestore);
    store.put(manifest("app", 11, &["v2"], &[]));
    store.apply(delete_tag("app", "v2"));
    assert_eq!(store.apply_as(102, restore_tag("app", "v2")), Response::NothingToRestore);
}

#[test]
fn a_repeated_collection_collects_nothing_that_is_not_due() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.wait(2 * crate::policy::GRACE_SECONDS);
    store.push(2, "app", 2);
    let collected = |store: &mut Store| match store.apply_as(100, Command::CollectGarbage { limit: 9 }) {
        Response::Collected { items, .. } => items,
        response => panic!("{response:?}"),
    };
    assert_eq!([collected(&mut store), collected(&mut store), collected(&mut store)], [1, 1, 0]);
    assert!(store.view().linked_blob(&repository("app"), &digest(2)).unwrap().is_some());
}

#[test]
fn requests_are_forgotten_by_a_bounded_number_per_command() {
    let mut store = Store::new();
    for _ in 0..100 {
        store.put(manifest("app", 10, &["v1"], &[]));
    }
    store.wait(REQUEST_RETENTION_SECONDS - 1);
    assert_eq!(remembered(&store), 100);
    store.put(manifest("app", 10, &["v1"], &[]));
    store.wait(1);
    assert_eq!(remembered(&store), 101 - REQUESTS_TRIMMED_PER_COMMAND);
    store.wait(1);
    assert_eq!(remembered(&store), 1);
    store.wait(REQUEST_RETENTION_SECONDS);
    assert_eq!(remembered(&store), 0);
}

#[test]
fn a_clock_that_catches_up_does_not_forget_what_was_just_asked() {
    let mut store = Store::new();
    store.apply(Command::Tick);
    store.now = store.now.plus_seconds(2 * 24 * 3600);
    let push = Command::PutManifest(manifest("app", 10, &["v1"], &[]));
    store.apply_as(1, push.clone());
    store.apply(Command::Tick);
    store.apply_as(2, Command::PutManifest(manifest("app", 11, &["v1"], &[])));
    store.apply_as(1, push);
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(11));
}
