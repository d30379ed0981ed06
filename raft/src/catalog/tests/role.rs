//! What a region is for a namespace, held against every command that writes.

use super::store::*;
use crate::catalog::*;
use crate::policy::{NamespacePolicy, OPERATOR, REPLICATION, Role};

fn foreign(namespace: &str) -> Response {
    Response::Foreign { namespace: namespace.to_owned() }
}

/// A catalog with a manifest of one blob, tagged twice, and one that was deleted, in `acme/app`.
fn furnished() -> Store {
    let mut store = Store::new();
    store.push(1, "acme/app", 1);
    store.push(2, "acme/app", 2);
    store.put(manifest("acme/app", 10, &["a", "b"], &[1]));
    store.put(manifest("acme/app", 11, &["gone"], &[1]));
    assert_eq!(store.apply(delete_manifest("acme/app", 11)), DELETED);
    store.start(3, "acme/app");
    store
}

/// Every command that writes a repository, by a client.
fn writes(store: &mut Store) -> Vec<Command> {
    let name = repository("acme/app");
    let principal = Some(OPERATOR.to_owned());
    let kind = JobKind::Tags { pattern: "*".parse().unwrap(), older_than_seconds: None };
    let scope = JobScope::Repository(name.clone());
    let below = JobScope::Namespace("acme".to_owned());
    let run = JobKind::Retention;
    let advance = advance(store.position(3), store.extents(1));
    vec![
        start(4, "acme/app"),
        Command::FinishUpload { session: session(3), advance, digest: digest(3) },
        mount("acme/app", 2, None),
        Command::UnlinkBlob { repository: name.clone(), digest: digest(2), principal: principal.clone() },
        Command::PutManifest(manifest("acme/app", 12, &["new"], &[1])),
        Command::DeleteTag { repository: name.clone(), tag: tag("a"), principal: principal.clone(), owed: None },
        Command::DeleteManifest { repository: name, digest: digest(10), principal: principal.clone(), owed: None },
        restore_manifest("acme/app", 11),
        restore_tag("acme/app", "gone"),
        Command::StartJob(StartJob { scope: scope.clone(), kind: kind.clone(), principal: principal.clone() }),
        Command::StartJob(StartJob { scope: below, kind, principal: principal.clone() }),
        Command::StartJob(StartJob { scope, kind: run, principal }),
    ]
}

#[test]
fn in_a_foreign_region_nobody_writes_the_operator_included() {
    for role in [Role::Foreign, Role::Replica, Role::Fenced] {
        let mut store = furnished();
        store.sync_role("acme", Some(role));
        let rows = |store: &Store| {
            let view = store.view();
            let name = repository("acme/app");
            (view.repository(&name).unwrap(), view.tags(&name, None, 9).unwrap(), view.totals().unwrap())
        };
        let before = rows(&store);
        for command in writes(&mut store) {
            assert_eq!(store.apply(command.clone()), foreign("acme"), "{command:?}");
        }
        assert_eq!(rows(&store), before);
        assert_eq!(store.position(3).offset_bytes, 0, "the upload stands where it stood");
    }
}

#[test]
fn at_home_and_where_nothing_is_said_clients_write() {
    for role in [None, Some(Role::Home)] {
        let mut store = furnished();
        store.sync_role("acme", role);
        for command in writes(&mut store) {
            let response = store.apply(command.clone());
            assert!(!matches!(response, Response::Foreign { .. }), "{command:?}: {response:?}");
        }
    }
}

#[test]
fn replication_alone_writes_a_copy_and_never_a_home() {
    let copied = |store: &mut Store, number: u8| {
        let put = manifest("acme/app", number, &["copied"], &[]);
        store.put(PutManifest { principal: Some(REPLICATION.to_owned()), ..put })
    };
    let copied_in = |store: &mut Store, number| store.copy_in(manifest("acme/app", number, &["copied"], &[]));
    let mut store = furnished();
    assert_eq!(copied(&mut store, 20), foreign(""), "what comes late must not undo what clients do");
    store.sync_role("acme", Some(Role::Replica));
    assert_eq!(copied_in(&mut store, 20), Response::ManifestStored { created: true, tags: Vec::new() });
    let principal = Some(REPLICATION.to_owned());
    let owed = Some(store.owe("acme/app", vec![DebtItem::TagGone { tag: tag("copied") }]));
    let delete = Command::DeleteTag { repository: repository("acme/app"), tag: tag("copied"), principal, owed };
    assert_eq!(store.apply(delete), DELETED);
    store.sync_role("acme", Some(Role::Foreign));
    assert_eq!(copied(&mut store, 21), foreign("acme"));
}

#[test]
fn the_longest_prefix_that_says_something_decides() {
    let mut store = Store::new();
    let role = |store: &Store, name: &str| store.view().role(&repository(name)).unwrap();
    assert_eq!(role(&store, "acme/app"), Role::Home);
    store.sync_role("", Some(Role::Foreign));
    store.sync_role("acme", Some(Role::Home));
    store.sync_role("acme/copy", Some(Role::Replica));
    store.sync_policy("acme/app", Some(NamespacePolicy { deletes: Some(true), ..NamespacePolicy::default() }));
    assert_eq!([role(&store, "acme/app"), role(&store, "acme")], [Role::Home; 2]);
    assert_eq!(role(&store, "acme/copy/x"), Role::Replica);
    assert_eq!([role(&store, "acme-x"), role(&store, "other")], [Role::Foreign; 2]);
    assert_eq!(store.start(1, "other/app"), foreign(""));
    assert_eq!(store.start(2, "acme/copy/x"), foreign("acme/copy"));
    assert!(matches!(store.start(3, "acme/app"), Response::Uploaded { .. }));
    let layers = store.view().policy_layers(&repository("acme/app")).unwrap();
    assert_eq!(layers.into_iter().map(|(prefix, _)| prefix).collect::<Vec<_>>(), ["acme/app"], "a role is no policy");
}

#[test]
fn what_a_repository_holds_stays_readable_and_goes_in_time() {
    let mut store = furnished();
    let policy = NamespacePolicy { grace_seconds: Some(60), restore_seconds: Some(60), ..NamespacePolicy::default() };
    let version = store.view().policy_version().unwrap() + 1;
    let copy = NamespaceCopy { role: Some(Role::Foreign), policy };
    let changes = vec![("acme".to_owned(), Some(copy))];
    store.apply(Command::SyncPolicies { version, changes, complete: true });
    assert_eq!(store.apply(touch("acme/app", 1)), Response::Done);
    let touched = Command::TouchManifest { repository: repository("acme/app"), digest: digest(10) };
    assert_eq!(store.apply(touched), Response::Done);
    let cancel = Command::CancelUpload { session: session(3), repository: repository("acme/app") };
    assert_eq!(store.apply(cancel), Response::Done, "an upload that cannot end well may end");
    store.wait(100_000);
    store.collect();
    assert_eq!(store.view().link(&repository("acme/app"), &digest(2)).unwrap(), None, "nothing needs blob 2");
    let kept = store.view().tag(&repository("acme/app"), &tag("a")).unwrap().unwrap();
    assert_eq!(kept.digest, digest(10));
}

#[test]
fn a_published_upload_is_answered_again_as_it_was() {
    let mut store = furnished();
    let advance = advance(store.position(3), store.extents(1));
    let finish = Command::FinishUpload { session: session(3), advance, digest: digest(3) };
    assert!(matches!(store.apply(finish.clone()), Response::Published { .. }));
    store.sync_role("acme", Some(Role::Foreign));
    assert!(matches!(store.apply(finish), Response::Published { .. }), "the client may have lost the first answer");
    assert!(matches!(store.start(3, "acme/app"), Response::Uploaded { .. }));
}

#[test]
fn a_job_leaves_alone_what_is_not_at_home_any_more() {
    let mut store = furnished();
    store.put(manifest("acme/own", 12, &["c"], &[]));
    let kind = JobKind::Tags { pattern: "*".parse().unwrap(), older_than_seconds: None };
    let scope = JobScope::Namespace("acme".to_owned());
    let begin = Command::StartJob(StartJob { scope, kind, principal: Some(OPERATOR.to_owned()) });
    let Response::JobStarted { job } = store.apply(begin) else { panic!("no job") };
    store.sync_role("acme", Some(Role::Foreign));
    store.sync_role("acme/own", Some(Role::Home));
    let delete = [("acme/app", "a", 10), ("acme/own", "c", 12)]
        .map(|(name, text, number)| TagToDelete {
            repository: repository(name),
            tag: tag(text),
            digest: digest(number),
        })
        .into();
    let step = JobStep { job, expected_cursor: None, next_cursor: None, examined: 2, kept: 0, delete };
    assert_eq!(store.apply(Command::JobStep(step)), Response::Count { count: 1 });
    let record = store.view().job(job).unwrap().unwrap();
    assert_eq!((record.deleted, record.protected), (1, 1));
    assert!(store.view().tag(&repository("acme/app"), &tag("a")).unwrap().is_some());
}

#[test]
fn retention_of_a_prefix_runs_wherever_something_below_it_is_at_home() {
    let mut store = furnished();
    store.sync_role("acme", Some(Role::Foreign));
    let scope = JobScope::Namespace("acme".to_owned());
    let start = StartJob { scope, kind: JobKind::Retention, principal: None };
    assert!(matches!(store.apply(Command::StartJob(start)), Response::JobStarted { .. }));
}
