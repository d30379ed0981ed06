//! Namespaces and what holds for a repository.

use super::store::*;
use crate::directory::*;
use crate::id::RegionId;
use crate::policy::{NamespacePolicy, PolicyError, Quota};

fn set(prefix: &str, home: Option<u32>, residency: Option<Residency>) -> Command {
    let record = NamespaceRecord { home: home.map(RegionId), residency, ..NamespaceRecord::default() };
    Command::SetNamespace { prefix: prefix.to_owned(), record }
}

fn resolved(store: &Store, repository: &str) -> (String, Residency) {
    let found = store.view().namespace_of(&repository.parse().unwrap()).unwrap().unwrap();
    assert_eq!(found.home, RegionId(1));
    (found.prefix, found.residency)
}

#[test]
fn the_longest_prefix_of_whole_components_wins_and_unset_fields_inherit() {
    let mut store = Store::founded();
    assert_eq!(resolved(&store, "acme/prod/app"), (String::new(), Residency::Home));
    assert_eq!(store.apply(set("acme", None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(store.apply(set("acme/prod", Some(1), None)), Response::Done);
    assert_eq!(resolved(&store, "acme/prod/app"), ("acme/prod".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme/prod"), ("acme/prod".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme/production"), ("acme".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme-2/app"), (String::new(), Residency::Home));
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 3);
}

#[test]
fn the_root_keeps_what_is_left_out() {
    let mut store = Store::founded();
    assert_eq!(store.apply(set("", None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(resolved(&store, "app"), (String::new(), Residency::Pinned));
    assert_eq!(store.apply(set("", None, None)), Response::Done);
    assert_eq!(resolved(&store, "app"), (String::new(), Residency::Pinned));
}

#[test]
fn malformed_prefixes_and_unknown_regions_are_refused() {
    let mut store = Store::founded();
    for prefix in ["/", "acme/", "/acme", "Acme", "a//b"] {
        let refusal = Refusal::NamespaceInvalid(prefix.to_owned());
        assert_eq!(store.apply(set(prefix, None, None)), refused(refusal));
    }
    assert_eq!(store.apply(set("acme", Some(2), None)), refused(Refusal::RegionUnknown("2".to_owned())));
    let copies = Residency::Replicated(vec![RegionId(1), RegionId(3)]);
    assert_eq!(store.apply(set("acme", None, Some(copies))), refused(Refusal::RegionUnknown("3".to_owned())));
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 1);
}

fn set_policy(prefix: &str, policy: NamespacePolicy) -> Command {
    let record = NamespaceRecord { policy, ..NamespaceRecord::default() };
    Command::SetNamespace { prefix: prefix.to_owned(), record }
}

fn remove(prefix: &str) -> Command {
    Command::RemoveNamespace { prefix: prefix.to_owned() }
}

fn grace(seconds: u64) -> NamespacePolicy {
    NamespacePolicy { grace_seconds: Some(seconds), ..NamespacePolicy::default() }
}

#[test]
fn each_change_is_counted_and_a_repetition_is_none() {
    let mut store = Store::founded();
    let version = |store: &Store| store.view().policy_version().unwrap();
    assert_eq!(version(&store), 0);
    for (command, expected) in [
        (set_policy("acme", grace(60)), 1),
        (set_policy("acme", grace(60)), 1),
        (set_policy("acme", grace(61)), 2),
        (set("acme", None, Some(Residency::Pinned)), 3),
        (set_policy("", grace(5)), 4),
        (remove("acme"), 5),
    ] {
        assert_eq!(store.apply(command), Response::Done);
        assert_eq!(version(&store), expected);
    }
    assert_eq!(store.apply(remove("acme")), refused(Refusal::NamespaceUnknown("acme".to_owned())));
    assert_eq!(version(&store), 5);
}

#[test]
fn a_policy_is_replaced_as_a_whole_and_the_root_keeps_its_home() {
    let mut store = Store::founded();
    store.apply(set_policy("", grace(5)));
    let root = store.view().namespace("").unwrap().unwrap();
    assert_eq!((root.home, root.residency, root.policy), (Some(RegionId(1)), Some(Residency::Home), grace(5)));
    let deletes = NamespacePolicy { deletes: Some(false), ..NamespacePolicy::default() };
    store.apply(set_policy("", deletes.clone()));
    assert_eq!(store.view().namespace("").unwrap().unwrap().policy, deletes);
}

#[test]
fn the_root_stays_and_a_senseless_policy_is_refused() {
    let mut store = Store::founded();
    assert_eq!(store.apply(remove("")), refused(Refusal::RootStays));
    let quota = Quota { tags: Some(0), ..Quota::default() };
    let policy = NamespacePolicy { quota, ..NamespacePolicy::default() };
    let Response::Refused(Refusal::PolicyInvalid(PolicyError { field, .. })) = store.apply(set_policy("acme", policy))
    else {
        panic!("a quota of nothing is accepted");
    };
    assert_eq!(field, "quota.tags");
    assert_eq!(store.view().namespace("acme").unwrap(), None);
}

#[test]
fn namespaces_are_listed_by_pages_with_the_root_first() {
    let mut store = Store::founded();
    for prefix in ["b", "a/x", "a", "a-b"] {
        store.apply(set_policy(prefix, grace(1)));
    }
    let mut listed = Vec::new();
    while let page @ [_, ..] = store.view().namespaces(listed.last().map(String::as_str), 2).unwrap().as_slice() {
        assert!(page.len() <= 2);
        listed.extend(page.iter().map(|(prefix, _)| prefix.clone()));
    }
    assert_eq!(listed, ["", "a", "a-b", "a/x", "b"]);
}
