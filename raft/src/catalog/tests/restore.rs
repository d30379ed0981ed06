//! Deletions taken back, and the history of tags.

use super::store::*;
use crate::catalog::*;
use crate::policy::{ImmutableRule, NamespacePolicy, Quota, RESTORE_SECONDS};

fn restored(number: u8, tags: &[&str]) -> Response {
    Response::Restored { digest: digest(number), tags: tags.iter().map(|name| tag(name)).collect() }
}

fn changes(store: &Store, name: &str, text: &str) -> Vec<(u64, ChangeCause, Option<Digest>, Option<Digest>)> {
    let history = store.view().tag_history(&repository(name), &tag(text), usize::MAX).unwrap();
    history.into_iter().map(|(revision, change)| (revision, change.cause, change.digest, change.previous)).collect()
}

#[test]
fn a_deleted_manifest_comes_back_as_it_was() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[]));
    let put = PutManifest { tags: vec![tag("a"), tag("b")], blobs: vec![digest(1)], ..referrer("app", 30, 10) };
    store.put(put);
    let before = store.view().referrers(&repository("app"), &digest(10), None, 9).unwrap();
    assert_eq!(store.apply(restore_manifest("app", 30)), Response::NothingToRestore, "it is there");
    store.apply(delete_manifest("app", 30));
    let kept = store.view().tombstones(&repository("app"), None, 9).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].0, kept[0].1.tags.as_slice()), (digest(30), [tag("a"), tag("b")].as_slice()));
    assert_eq!(kept[0].1.until, store.now.plus_seconds(RESTORE_SECONDS));
    // A tag that was taken meanwhile is not moved.
    store.put(manifest("app", 11, &["a"], &[]));
    assert_eq!(store.apply(restore_manifest("app", 30)), restored(30, &["b"]));
    assert_eq!(store.view().referrers(&repository("app"), &digest(10), None, 9).unwrap(), before);
    assert_eq!(store.view().manifest_bytes(&repository("app"), &digest(30)).unwrap().unwrap(), "manifest 30");
    assert_eq!(store.view().tag(&repository("app"), &tag("a")).unwrap().unwrap().digest, digest(11));
    assert_eq!(store.deadline(&link_item("app", 1)), None, "its blob is used again");
    assert!(store.view().tombstone(&repository("app"), &digest(30)).unwrap().is_none());
    assert_eq!(store.apply(restore_manifest("app", 30)), Response::NothingToRestore);
}

#[test]
fn a_deletion_is_taken_back_within_its_window_only() {
    let mut store = Store::new();
    for name in ["early", "late"] {
        store.put(manifest(name, 10, &["latest"], &[]));
        store.apply(delete_manifest(name, 10));
    }
    store.wait(RESTORE_SECONDS - 1);
    store.collect();
    assert_eq!(store.apply(restore_tag("early", "latest")), restored(10, &["latest"]));
    store.wait(1);
    // Due, and not collected yet.
    assert_eq!(store.apply(restore_manifest("late", 10)), Response::NothingToRestore);
    assert_eq!(store.apply(restore_tag("late", "latest")), Response::NothingToRestore);
    store.collect();
    assert_eq!(store.apply(restore_manifest("late", 10)), Response::NothingToRestore);
    assert_eq!(store.apply(restore_tag("late", "never")), Response::NothingToRestore);
}

#[test]
fn without_a_window_nothing_is_kept() {
    let mut store = Store::new();
    store.sync_policy("", Some(NamespacePolicy { restore_seconds: Some(0), ..NamespacePolicy::default() }));
    store.put(manifest("app", 10, &["latest"], &[]));
    store.apply(delete_manifest("app", 10));
    assert!(store.view().tombstone(&repository("app"), &digest(10)).unwrap().is_none());
    assert_eq!(store.apply(restore_manifest("app", 10)), Response::NothingToRestore);
}

#[test]
fn a_deleted_tag_comes_back_to_where_it_was() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &["latest"], &[]));
    store.put(manifest("app", 11, &["latest"], &[]));
    assert_eq!(store.apply(restore_tag("app", "latest")), Response::NothingToRestore, "it is there");
    store.apply(delete_tag("app", "latest"));
    assert_eq!(store.apply(restore_tag("app", "latest")), restored(11, &["latest"]));
    assert_eq!(store.view().manifest(&repository("app"), &digest(11)).unwrap().unwrap().tags, 1);
    assert_eq!(store.view().unheld(&repository("app"), &digest(11)).unwrap(), None);
    // Deleted with its manifest, it brings that back too.
    store.apply(delete_manifest("app", 11));
    assert_eq!(store.apply(restore_tag("app", "latest")), restored(11, &["latest"]));
    let causes: Vec<_> = changes(&store, "app", "latest").into_iter().map(|(_, cause, ..)| cause).collect();
    let names: Vec<_> = causes.into_iter().map(ChangeCause::name).collect();
    assert_eq!(names, ["restore", "delete", "restore", "delete", "push", "push"]);
    let newest = store.view().tag_history(&repository("app"), &tag("latest"), 1).unwrap();
    assert_eq!(newest[0].1.principal.as_deref(), Some("operator"));
}

#[test]
fn a_manifest_whose_blob_was_deleted_cannot_be_restored() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.apply(delete_manifest("app", 10));
    assert_eq!(store.apply(unlink("app", 1)), Response::Done);
    let unknown = Response::ManifestBlobsUnknown { digests: vec![digest(1)] };
    assert_eq!(store.apply(restore_manifest("app", 10)), unknown);
    store.push(2, "app", 1);
    assert_eq!(store.apply(restore_manifest("app", 10)), restored(10, &["latest"]));
}

#[test]
fn a_restored_index_and_subject_hold_again() {
    let mut store = Store::new();
    store.put(manifest("app", 10, &[], &[]));
    store.put(index("app", 20, &["latest"], &[10]));
    store.put(referrer("app", 30, 20));
    store.apply(delete_manifest("app", 20));
    assert!(store.view().unheld(&repository("app"), &digest(10)).unwrap().is_some());
    assert_eq!(store.manifest_garbage(), [manifest_item(&store, "app", 30)]);
    assert_eq!(store.apply(restore_manifest("app", 20)), restored(20, &["latest"]));
    assert!(store.view().unheld(&repository("app"), &digest(10)).unwrap().is_none());
    assert!(store.manifest_garbage().is_empty());
}

#[test]
fn a_restoration_obeys_quotas() {
    let mut store = Store::new();
    let quota = Quota { tags: Some(1), ..Quota::default() };
    store.sync_policy("app", Some(NamespacePolicy { quota, ..NamespacePolicy::default() }));
    store.put(manifest("app", 10, &["a"], &[]));
    store.apply(delete_tag("app", "a"));
    store.put(manifest("app", 11, &["b"], &[]));
    assert!(matches!(store.apply(restore_tag("app", "a")), Response::QuotaExceeded { used: 1, needed: 1, .. }));
    store.apply(delete_manifest("app", 10));
    store.apply(delete_tag("app", "b"));
    // The manifest had no tag any more when it went; the tag brings it back nevertheless.
    assert_eq!(store.apply(restore_tag("app", "a")), restored(10, &["a"]));
}

#[test]
fn a_history_is_bounded_and_goes_on_behind_a_deletion() {
    let mut store = Store::new();
    let rounds = TAG_CHANGES_KEPT / 2 + 3;
    for _ in 0..rounds {
        store.put(manifest("app", 10, &["latest"], &[]));
        store.put(manifest("app", 11, &["latest"], &[]));
    }
    store.apply(delete_tag("app", "latest"));
    store.put(manifest("app", 10, &["latest"], &[]));
    let changes = changes(&store, "app", "latest");
    assert_eq!(changes.len() as u64, TAG_CHANGES_KEPT);
    assert_eq!(changes[0], (2 * rounds + 2, ChangeCause::Push, Some(digest(10)), None));
    assert_eq!(changes[1], (2 * rounds + 1, ChangeCause::Delete, None, Some(digest(11))));
    assert_eq!(changes[2], (2 * rounds, ChangeCause::Push, Some(digest(11)), Some(digest(10))));
}

#[test]
fn an_immutable_tag_is_neither_moved_nor_deleted() {
    let mut store = Store::new();
    let rule = ImmutableRule { tags: "v*".parse().unwrap(), except: vec!["robot".to_owned()] };
    store.sync_policy("app", Some(NamespacePolicy { immutable: Some(vec![rule]), ..NamespacePolicy::default() }));
    let name = repository("app");
    store.put(manifest("app", 10, &["latest", "v1"], &[]));
    let refusal = Response::Immutable {
        tag: tag("v1"),
        digest: digest(10),
        namespace: "app".to_owned(),
        pattern: "v*".to_owned(),
    };
    assert_eq!(
        store.put(manifest("app", 10, &["v1"], &[])),
        Response::ManifestStored { created: false, tags: Vec::new() }
    );
    assert_eq!(store.put(manifest("app", 11, &["latest", "v1"], &[])), refusal);
    assert!(store.view().manifest(&name, &digest(11)).unwrap().is_none(), "refused in whole");
    assert_eq!(store.apply(delete_tag("app", "v1")), refusal);
    assert_eq!(store.apply(delete_manifest("app", 10)), refusal);
    assert_eq!(store.apply(delete_tag("app", "latest")), DELETED);
    let robot = Some("robot".to_owned());
    let put = PutManifest { principal: robot.clone(), ..manifest("app", 11, &["v1"], &[]) };
    assert_eq!(store.put(put), Response::ManifestStored { created: true, tags: Vec::new() });
    assert_eq!(
        store.apply(Command::DeleteTag { repository: name, tag: tag("v1"), principal: robot, owed: None }),
        DELETED
    );
}

#[test]
fn where_deletes_are_off_only_the_operator_deletes() {
    let mut store = Store::new();
    store.sync_policy("acme", Some(NamespacePolicy { deletes: Some(false), ..NamespacePolicy::default() }));
    store.push(1, "acme/app", 1);
    store.put(manifest("acme/app", 10, &["a", "b"], &[]));
    let off = Response::DeletesOff { namespace: "acme".to_owned() };
    assert_eq!(store.apply(delete_tag("acme/app", "a")), off);
    assert_eq!(store.apply(delete_manifest("acme/app", 10)), off);
    assert_eq!(store.apply(unlink("acme/app", 1)), off);
    let (repository, principal) = (repository("acme/app"), Some("operator".to_owned()));
    let by_operator = [
        Command::DeleteTag { repository: repository.clone(), tag: tag("a"), principal: principal.clone(), owed: None },
        Command::DeleteManifest {
            repository: repository.clone(),
            digest: digest(10),
            principal: principal.clone(),
            owed: None,
        },
        Command::UnlinkBlob { repository, digest: digest(1), principal },
    ];
    for command in by_operator {
        let answer = store.apply(command);
        assert!([Response::Done, DELETED].contains(&answer), "{answer:?}");
    }
}
