//! The catalog's copy of the policies: brought up to date by pages, inherited, enforced, and walked when they change.

use super::store::*;
use crate::catalog::*;
use crate::policy::{NamespacePolicy, OPERATOR, Untagged};

/// A policy as an operator writes it.
pub(super) fn policy(text: &str) -> NamespacePolicy {
    let policy: NamespacePolicy = toml::from_str(text).unwrap();
    assert_eq!(policy.check(), Ok(()));
    policy
}

impl Store {
    /// Sets the policy of a prefix, as the next version of the directory.
    pub(super) fn configure(&mut self, prefix: &str, text: &str) {
        let version = self.view().policy_version().unwrap() + 1;
        let changes = vec![(prefix.to_owned(), Some(policy(text).into()))];
        assert_eq!(self.apply(Command::SyncPolicies { version, changes, complete: true }), Response::Done);
    }

    fn delete_tag_as(&mut self, name: &str, tag_name: &str, principal: Option<&str>) -> Response {
        let principal = principal.map(ToOwned::to_owned);
        self.apply(Command::DeleteTag { repository: repository(name), tag: tag(tag_name), principal, owed: None })
    }

    fn walk(&mut self, limit: u32) -> u64 {
        let Response::Count { count } = self.apply(Command::WalkPolicies { limit }) else { panic!("not a count") };
        count
    }

    fn sync(&mut self, version: u64, prefixes: &[&str], complete: bool) -> Response {
        let one = |prefix: &&str| ((*prefix).to_owned(), Some(policy(&format!("grace_seconds = {version}")).into()));
        let changes = prefixes.iter().map(one).collect();
        self.apply(Command::SyncPolicies { version, changes, complete })
    }

    fn grace(&self, name: &str) -> u64 {
        self.view().policy(&repository(name)).unwrap().0.grace_seconds
    }
}

#[test]
fn policies_are_inherited_by_repositories_below_their_prefix() {
    let mut store = Store::new();
    store.configure("", "grace_seconds = 10");
    store.configure("acme", "grace_seconds = 20\nrestore_seconds = 5");
    store.configure("acme/app", "restore_seconds = 6");
    assert_eq!(
        [store.grace("other"), store.grace("acmex"), store.grace("acme"), store.grace("acme/app/x")],
        [10, 10, 20, 20]
    );
    let (found, sources) = store.view().policy(&repository("acme/app/x")).unwrap();
    assert_eq!((found.restore_seconds, sources.restore_seconds.as_deref()), (6, Some("acme/app")));
    assert_eq!(sources.grace_seconds.as_deref(), Some("acme"));
    let set: Vec<String> = store.view().policies(None, 9).unwrap().into_iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(set, ["", "acme", "acme/app"]);
    let removed = vec![("acme".to_owned(), None), ("acme/app".to_owned(), Some(NamespaceCopy::default()))];
    store.apply(Command::SyncPolicies { version: 9, changes: removed, complete: true });
    assert_eq!(store.grace("acme/app/x"), 10);
    assert_eq!(store.view().policies(Some(""), 9).unwrap(), []);
}

#[test]
fn pages_of_an_older_version_never_come_after_a_newer_one_has_begun() {
    let mut store = Store::new();
    assert_eq!(store.sync(3, &["a"], false), Response::Done);
    assert_eq!((store.grace("a"), store.view().policy_version().unwrap()), (3, 0));
    assert_eq!(store.sync(4, &[], false), Response::Done);
    assert_eq!(store.sync(3, &["b"], true), Response::Stale);
    assert_eq!(store.sync(4, &["b"], true), Response::Done);
    assert_eq!(store.view().policy_version().unwrap(), 4);
    assert_eq!(store.sync(4, &["a"], true), Response::Stale, "it is here in whole");
    assert_eq!((store.grace("a"), store.grace("b")), (3, 4));
    let senseless = store.sync(5, &["a//b"], true);
    assert!(matches!(senseless, Response::Malformed { .. }), "{senseless:?}");
    let names: Vec<String> = (0..=POLICIES_PER_COMMAND).map(|number| format!("n{number}")).collect();
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(matches!(store.sync(5, &many, true), Response::Malformed { .. }));
    assert_eq!(store.sync(5, &many[1..], true), Response::Done);
}

#[test]
fn where_deletes_are_off_only_the_operator_deletes() {
    let mut store = Store::new();
    store.configure("", "deletes = false");
    store.configure("open", "deletes = true");
    for name in ["acme/app", "open/app"] {
        store.put(manifest(name, 10, &["a", "b"], &[]));
    }
    let off = Response::DeletesOff { namespace: String::new() };
    assert_eq!(store.delete_tag_as("acme/app", "a", None), off);
    assert_eq!(store.delete_tag_as("acme/app", "a", Some("eve")), off);
    assert_eq!(store.apply(delete_manifest("acme/app", 10)), off);
    assert_eq!(store.delete_tag_as("acme/app", "a", Some(OPERATOR)), DELETED);
    assert_eq!(store.delete_tag_as("open/app", "a", None), DELETED);
}

#[test]
fn an_immutable_tag_is_neither_moved_nor_deleted_but_may_be_pushed_again() {
    let mut store = Store::new();
    store.configure("acme", "immutable = [{ tags = \"v*\", except = [\"robot:ci\"] }]");
    store.put(manifest("acme/app", 10, &["v1", "latest"], &[]));
    let immutable = Response::Immutable {
        tag: tag("v1"),
        digest: digest(10),
        namespace: "acme".to_owned(),
        pattern: "v*".to_owned(),
    };
    assert_eq!(store.put(manifest("acme/app", 11, &["v1"], &[])), immutable);
    assert_eq!(store.view().manifest(&repository("acme/app"), &digest(11)).unwrap(), None, "nothing was done");
    assert_eq!(store.delete_tag_as("acme/app", "v1", None), immutable);
    assert_eq!(store.delete_tag_as("acme/app", "v1", Some(OPERATOR)), immutable);
    assert_eq!(store.apply(delete_manifest("acme/app", 10)), immutable);
    assert_eq!(
        store.put(manifest("acme/app", 10, &["v1"], &[])),
        Response::ManifestStored { created: false, tags: Vec::new() }
    );
    assert_eq!(
        store.put(manifest("acme/app", 11, &["latest", "v2"], &[])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    let named = PutManifest { principal: Some("robot:ci".to_owned()), ..manifest("acme/app", 11, &["v1"], &[]) };
    assert_eq!(store.put(named), Response::ManifestStored { created: false, tags: Vec::new() });
    assert_eq!(
        store.put(manifest("acmex", 12, &["v1"], &[])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    assert_eq!(
        store.put(manifest("acmex", 13, &["v1"], &[])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
}

#[test]
fn a_change_for_untagged_manifests_reaches_those_that_are_there_page_by_page() {
    let mut store = Store::new();
    for (name, number) in [("acme", 10), ("acme/app", 11), ("acme/app", 12), ("acme-x", 13), ("acme/own", 14)] {
        store.put(manifest(name, number, &[], &[]));
    }
    store.configure("acme/own", "untagged = \"keep\"");
    assert_eq!((store.walk(9), store.walk(9)), (2, 0), "one manifest and one prefix");
    assert_eq!(store.garbage(), []);

    store.configure("acme", "untagged = { collect = { after_seconds = 50 } }");
    assert!(store.view().has_policy_walks().unwrap());
    assert_eq!(store.garbage(), [], "nothing but the prefix is noted at once");
    let mut rounds = 0;
    while store.walk(1) > 0 {
        rounds += 1;
    }
    assert!((4..=6).contains(&rounds), "{rounds}");
    assert!(!store.view().has_policy_walks().unwrap());
    let mut queued: Vec<GarbageItem> = [("acme", 10), ("acme/app", 11), ("acme/app", 12)]
        .map(|(name, number)| manifest_item(&store, name, number))
        .into();
    queued.sort();
    assert_eq!(store.garbage(), queued);

    store.configure("acme", "untagged = \"keep\"\ngrace_seconds = 7");
    while store.walk(2) > 0 {}
    assert_eq!(store.garbage(), []);
    assert_eq!(store.view().policy(&repository("acme")).unwrap().0.untagged, Untagged::Keep);
    store.configure("acme", "untagged = \"keep\"\ngrace_seconds = 8");
    assert!(!store.view().has_policy_walks().unwrap(), "another grace is no reason to walk");
}
