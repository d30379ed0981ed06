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
    let stored = Response::ManifestStored { created: true };
    assert_eq!(store.apply_as(1, first.clone()), stored);
    assert_eq!(store.apply_as(2, Command::PutManifest(manifest("app", 11, &["v1"], &[]))), stored);
    let events = store.events();
    assert_eq!(store.apply_as(1, first.clone()), stored);
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(11));
    assert_eq!(store.events(), events);
    assert_eq!(store.apply_as(3, first), Response::ManifestStored { created: false });
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(10));
}

#[test]
fn a_repeated_push_does_not_bring_a_deleted_manifest_back() {
    let mut store = Store::new();
    let push = Command::PutManifest(manifest("app", 10, &["v1"], &[]));
    store.apply_as(1, push.clone());
    store.apply_as(2, Command::DeleteManifest { repository: repository("app"), digest: digest(10) });
    assert_eq!(store.apply_as(1, push), Response::ManifestStored { created: true });
    assert!(store.view().manifest(&repository("app"), &digest(10)).unwrap().is_none());
}

#[test]
fn a_repeated_removal_is_answered_as_the_first() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["v1", "v2"], &[]));
    store.start(2, "app");
    let name = repository("app");
    let removals = [
        Command::DeleteTag { repository: name.clone(), tag: tag("v1") },
        Command::DeleteManifest { repository: name.clone(), digest: digest(10) },
        Command::UnlinkBlob { repository: name.clone(), digest: digest(1) },
        Command::CancelUpload { session: session(2), repository: name },
    ];
    for (number, removal) in (100..).zip(removals) {
        assert_eq!(store.apply_as(number, removal.clone()), Response::Done);
        let before = dump(&store.engine);
        assert_eq!(store.apply_as(number, removal.clone()), Response::Done, "{removal:?}");
        assert_eq!(dump(&store.engine), before);
        assert_ne!(store.apply_as(number + 50, removal), Response::Done);
    }
}

#[test]
fn a_repeated_removal_spares_what_came_in_between() {
    let mut store = Store::new();
    let removal = Command::DeleteTag { repository: repository("app"), tag: tag("v1") };
    store.apply_as(1, Command::PutManifest(manifest("app", 10, &["v1"], &[])));
    assert_eq!(store.apply_as(2, removal.clone()), Response::Done);
    store.apply_as(3, Command::PutManifest(manifest("app", 11, &["v1"], &[])));
    assert_eq!(store.apply_as(2, removal), Response::Done);
    assert_eq!(store.view().tag(&repository("app"), &tag("v1")).unwrap().unwrap().digest, digest(11));
}

#[test]
fn what_was_refused_does_not_happen_later() {
    let mut store = Store::new();
    let removal = Command::DeleteTag { repository: repository("app"), tag: tag("v1") };
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
    let mount = Command::MountBlob { repository: repository("other"), digest: digest(1), from: None };
    let mounted = store.apply_as(100, mount.clone());
    assert!(matches!(mounted, Response::Mounted { .. }), "{mounted:?}");
    let removal = Command::UnlinkBlob { repository: repository("other"), digest: digest(1) };
    assert_eq!(store.apply_as(101, removal), Response::Done);
    assert_eq!(store.apply_as(100, mount), mounted);
    assert!(store.view().link(&repository("other"), &digest(1)).unwrap().is_none());
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
