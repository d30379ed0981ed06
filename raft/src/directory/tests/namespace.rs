//! Namespaces and what holds for a repository.

use super::store::*;
use crate::directory::*;
use crate::id::RegionId;
use crate::policy::{NamespacePolicy, PolicyError, Quota};

fn place(home: Option<u32>, residency: Option<Residency>) -> NamespaceRecord {
    NamespaceRecord { home: home.map(RegionId), residency, ..NamespaceRecord::default() }
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
    assert_eq!(store.set("acme", place(None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(store.set("acme/prod", place(Some(1), None)), Response::Done);
    assert_eq!(resolved(&store, "acme/prod/app"), ("acme/prod".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme/prod"), ("acme/prod".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme/production"), ("acme".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme-2/app"), (String::new(), Residency::Home));
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 3);
}

#[test]
fn the_root_keeps_what_is_left_out() {
    let mut store = Store::founded();
    assert_eq!(store.set("", place(None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(resolved(&store, "app"), (String::new(), Residency::Pinned));
    assert_eq!(store.set("", place(None, None)), Response::Done);
    assert_eq!(resolved(&store, "app"), (String::new(), Residency::Pinned));
}

#[test]
fn malformed_prefixes_and_unknown_regions_are_refused() {
    let mut store = Store::founded();
    for prefix in ["/", "acme/", "/acme", "Acme", "a//b"] {
        let refusal = Refusal::NamespaceInvalid(prefix.to_owned());
        assert_eq!(store.set(prefix, place(None, None)), refused(refusal));
    }
    assert_eq!(store.set("acme", place(Some(2), None)), refused(Refusal::RegionUnknown("2".to_owned())));
    let copies = Residency::Replicated(vec![RegionId(1), RegionId(3)]);
    assert_eq!(store.set("acme", place(None, Some(copies))), refused(Refusal::RegionUnknown("3".to_owned())));
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 1);
}

fn record(policy: NamespacePolicy) -> NamespaceRecord {
    NamespaceRecord { policy, ..NamespaceRecord::default() }
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
    for (prefix, record, expected) in [
        ("acme", record(grace(60)), 1),
        ("acme", record(grace(60)), 1),
        ("acme", record(grace(61)), 2),
        ("acme", place(None, Some(Residency::Pinned)), 3),
        ("", record(grace(5)), 4),
    ] {
        assert_eq!(store.set(prefix, record), Response::Done);
        assert_eq!(version(&store), expected);
    }
    assert_eq!(store.apply(remove("acme")), Response::Done);
    assert_eq!(version(&store), 5);
    assert_eq!(store.apply(remove("acme")), refused(Refusal::NamespaceUnknown("acme".to_owned())));
    assert_eq!(version(&store), 5);
}

#[test]
fn a_policy_is_replaced_as_a_whole_and_the_root_keeps_its_home() {
    let mut store = Store::founded();
    store.set("", record(grace(5)));
    let root = store.view().namespace("").unwrap().unwrap();
    assert_eq!((root.home, root.residency, root.policy), (Some(RegionId(1)), Some(Residency::Home), grace(5)));
    let deletes = NamespacePolicy { deletes: Some(false), ..NamespacePolicy::default() };
    store.set("", record(deletes.clone()));
    assert_eq!(store.view().namespace("").unwrap().unwrap().policy, deletes);
}

#[test]
fn the_root_stays_and_a_senseless_policy_is_refused() {
    let mut store = Store::founded();
    assert_eq!(store.apply(remove("")), refused(Refusal::RootStays));
    let quota = Quota { tags: Some(0), ..Quota::default() };
    let policy = NamespacePolicy { quota, ..NamespacePolicy::default() };
    let Response::Refused(Refusal::PolicyInvalid(PolicyError { field, .. })) = store.set("acme", record(policy)) else {
        panic!("a quota of nothing is accepted");
    };
    assert_eq!(field, "quota.tags");
    assert_eq!(store.view().namespace("acme").unwrap(), None);
}

#[test]
fn namespaces_are_listed_by_pages_with_the_root_first() {
    let mut store = Store::founded();
    for prefix in ["b", "a/x", "a", "a-b"] {
        store.set(prefix, record(grace(1)));
    }
    let mut listed = Vec::new();
    while let page @ [_, ..] = store.view().namespaces(listed.last().map(String::as_str), 2).unwrap().as_slice() {
        assert!(page.len() <= 2);
        listed.extend(page.iter().map(|(prefix, _)| prefix.clone()));
    }
    assert_eq!(listed, ["", "a", "a-b", "a/x", "b"]);
}

#[test]
fn of_two_who_change_the_same_policies_the_second_is_told_so() {
    let mut store = Store::founded();
    let made_from = store.view().policy_version().unwrap();
    let change =
        |seconds| Command::SetNamespace { prefix: "acme".to_owned(), record: record(grace(seconds)), made_from };
    assert_eq!(store.apply(change(60)), Response::Done);
    let version = made_from + 1;
    assert_eq!(store.apply(change(61)), refused(Refusal::NamespacesChanged { made_from, version }));
    assert_eq!(store.view().namespace("acme").unwrap().unwrap().policy, grace(60));
    assert_eq!(store.apply(change(60)), Response::Done, "a repetition changes nothing");
    assert_eq!(store.view().policy_version().unwrap(), version);
}
