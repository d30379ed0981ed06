//! Namespaces and what holds for a repository.

use super::store::*;
use crate::directory::*;
use crate::id::RegionId;
use crate::policy::{NamespacePolicy, PolicyError, Quota};

fn place(home: Option<u32>, residency: Option<Residency>) -> NamespaceRecord {
    NamespaceRecord { home: home.map(RegionId), residency, ..NamespaceRecord::default() }
}

fn moving(home: Option<u32>, to: u32) -> NamespaceRecord {
    NamespaceRecord { moving: Some(Moving { to: RegionId(to), fenced: false }), ..place(home, None) }
}

fn fenced(home: Option<u32>, to: u32) -> NamespaceRecord {
    NamespaceRecord { moving: Some(Moving { to: RegionId(to), fenced: true }), ..place(home, None) }
}

/// Where the data of a repository rests, and the prefixes that say so.
fn resolved(store: &Store, repository: &str) -> (RegionId, Residency, [String; 2]) {
    let found = store.view().place(&repository.parse().unwrap()).unwrap().unwrap();
    (found.home, found.residency, [found.sources.home, found.sources.residency])
}

/// A cluster of the regions 1 `home`, 2 `us` and 3 `asia`.
fn three() -> Store {
    let mut store = Store::founded();
    store.add_region("us");
    store.add_region("asia");
    store
}

fn home_held(prefix: &str, from: &str, to: &str) -> Response {
    let [prefix, from, to] = [prefix, from, to].map(ToOwned::to_owned);
    refused(Refusal::HomeNotMoving { prefix, from, to })
}

#[test]
fn the_longest_prefix_of_whole_components_wins_and_unset_fields_inherit() {
    let mut store = Store::founded();
    let at = |home: &str, residency: &str| [home.to_owned(), residency.to_owned()];
    assert_eq!(resolved(&store, "acme/prod/app"), (RegionId(1), Residency::Home, at("", "")));
    assert_eq!(store.set("acme", place(None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(store.set("acme/prod", place(Some(1), None)), Response::Done);
    assert_eq!(resolved(&store, "acme/prod/app"), (RegionId(1), Residency::Pinned, at("acme/prod", "acme")));
    assert_eq!(resolved(&store, "acme/prod"), (RegionId(1), Residency::Pinned, at("acme/prod", "acme")));
    assert_eq!(resolved(&store, "acme/production"), (RegionId(1), Residency::Pinned, at("", "acme")));
    assert_eq!(resolved(&store, "acme-2/app"), (RegionId(1), Residency::Home, at("", "")));
    assert_eq!(store.view().place_at("acme/prod").unwrap().unwrap().sources.home, "acme/prod");
    assert_eq!(store.view().place_at("").unwrap().unwrap().residency, Residency::Home);
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 3);
}

#[test]
fn the_root_keeps_what_is_left_out() {
    let mut store = Store::founded();
    assert_eq!(store.set("", place(None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(resolved(&store, "app").1, Residency::Pinned);
    assert_eq!(store.set("", place(None, None)), Response::Done);
    assert_eq!(resolved(&store, "app").1, Residency::Pinned);
}

#[test]
fn malformed_prefixes_and_unknown_regions_are_refused() {
    let mut store = Store::founded();
    for prefix in ["/", "acme/", "/acme", "Acme", "a//b"] {
        let refusal = Refusal::NamespaceInvalid(prefix.to_owned());
        assert_eq!(store.set(prefix, place(None, None)), refused(refusal));
    }
    let unknown =
        |name: &str| refused(Refusal::RegionUnknown { name: name.to_owned(), known: vec!["home".to_owned()] });
    assert_eq!(store.set("acme", place(Some(2), None)), unknown("2"));
    assert_eq!(store.set("acme", moving(None, 4)), unknown("4"));
    let copies = Residency::Replicated(vec![RegionId(1), RegionId(3)]);
    assert_eq!(store.set("acme", place(None, Some(copies))), unknown("3"));
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 1);
}

#[test]
fn a_list_of_copies_names_other_regions_than_the_home_each_once() {
    let mut store = three();
    let copies = |regions: &[u32]| Residency::Replicated(regions.iter().copied().map(RegionId).collect());
    let set = |store: &mut Store, home, regions: &[u32]| store.set("acme", place(home, Some(copies(regions))));
    assert_eq!(set(&mut store, None, &[2, 3, 2]), refused(Refusal::CopyTwice("us".to_owned())));
    assert_eq!(
        set(&mut store, None, &[2, 1]),
        refused(Refusal::CopyAtHome("home".to_owned())),
        "the inherited one too"
    );
    assert_eq!(set(&mut store, Some(1), &[1]), refused(Refusal::CopyAtHome("home".to_owned())));
    assert_eq!(set(&mut store, None, &[2, 3]), Response::Done);
}

#[test]
fn a_home_changes_only_to_what_it_moves_to() {
    let mut store = three();
    let to_us = place(Some(2), None);
    assert_eq!(store.set("acme", to_us.clone()), home_held("acme", "home", "us"));
    assert_eq!(store.set("acme", moving(None, 1)), refused(Refusal::HomeAlready("home".to_owned())));
    assert_eq!(store.set("acme", fenced(None, 3)), Response::Done);
    assert_eq!(store.set("acme", to_us.clone()), home_held("acme", "home", "us"), "it moves elsewhere");
    assert_eq!(store.set("acme", moving(None, 2)), Response::Done);
    assert_eq!(store.set("acme", to_us.clone()), home_held("acme", "home", "us"), "clients write there still");
    assert_eq!(store.set("acme", fenced(None, 2)), Response::Done);
    assert_eq!(store.set("acme/app", to_us.clone()), home_held("acme/app", "home", "us"), "it moves with the others");
    assert_eq!(store.set("acme", to_us), Response::Done);
    assert_eq!(resolved(&store, "acme/app").0, RegionId(2));
    assert_eq!(store.apply(remove("acme")), home_held("acme", "us", "home"), "what is left would be its home");
    assert_eq!(store.set("acme", place(None, None)), home_held("acme", "us", "home"));
    assert_eq!(store.set("acme", fenced(Some(2), 1)), Response::Done);
    assert_eq!(
        store.apply(remove("acme")),
        home_held("acme", "us", "home"),
        "who removes has not looked what is there"
    );
    assert_eq!(store.set("acme", place(None, None)), Response::Done);
    assert_eq!(store.apply(remove("acme")), Response::Done);
    assert_eq!(resolved(&store, "acme/app").0, RegionId(1));
    let held = home_held("", "home", "us");
    let Response::Refused(refusal) = &held else { panic!("{held:?}") };
    let way_out = "move it with: regnode namespace set / --home us";
    assert_eq!(
        refusal.to_string(),
        format!("the home of the namespace \"/\" would change from \"home\" to \"us\": {way_out}")
    );
    assert_eq!(store.set("", place(Some(2), None)), held);
    assert_eq!(store.set("", fenced(None, 2)), Response::Done);
    assert_eq!(store.set("", place(Some(2), None)), Response::Done);
    assert_eq!(resolved(&store, "app").0, RegionId(2));
}

#[test]
fn a_move_leaves_the_copies_of_longer_prefixes_with_homes_of_their_own() {
    for prefix in ["", "acme"] {
        let mut store = three();
        let copies = |region| Some(Residency::Replicated(vec![RegionId(region)]));
        store.set(prefix, place(Some(1), copies(2)));
        store.set("acme/own", place(Some(1), None));
        store.set("acme/app", place(None, Some(Residency::Pinned)));
        let staying = |store: &Store| resolved(store, "acme/own/x");
        assert_eq!(staying(&store).1, Residency::Replicated(vec![RegionId(2)]));
        let to_us = NamespaceRecord { residency: copies(2), ..fenced(Some(1), 2) };
        assert_eq!(store.set(prefix, to_us), Response::Done);
        assert_eq!(store.set(prefix, place(Some(2), copies(1))), Response::Done);
        let own = ["acme/own".to_owned(), "acme/own".to_owned()];
        assert_eq!(staying(&store), (RegionId(1), Residency::Replicated(vec![RegionId(2)]), own));
        assert_eq!(resolved(&store, "acme/app").0, RegionId(2), "who has no home of his own moves");
        assert_eq!(resolved(&store, "acme/app").1, Residency::Pinned);
        assert_eq!(store.set(prefix, place(Some(2), copies(3))), Response::Done);
        assert_eq!(staying(&store).1, Residency::Replicated(vec![RegionId(2)]));
    }
}

#[test]
fn a_residency_that_changes_alone_is_inherited_as_ever() {
    let mut store = three();
    store.set("acme/own", place(Some(1), None));
    store.set("acme", place(None, Some(Residency::Replicated(vec![RegionId(2)]))));
    store.set("acme", place(None, Some(Residency::Pinned)));
    assert_eq!(resolved(&store, "acme/own").1, Residency::Pinned);
    store.set("acme", NamespaceRecord { residency: Some(Residency::Pinned), ..fenced(None, 2) });
    store.set("acme", place(Some(2), Some(Residency::Pinned)));
    assert_eq!(store.view().namespace("acme/own").unwrap(), Some(place(Some(1), None)), "nothing changed for it");
}

#[test]
fn a_move_can_be_fenced_unfenced_and_taken_back() {
    let mut store = three();
    let under_way = |store: &Store| store.view().place_at("acme").unwrap().unwrap().moving;
    for (record, fence) in [(moving(None, 2), false), (fenced(None, 2), true), (moving(None, 2), false)] {
        assert_eq!(store.set("acme", record), Response::Done);
        assert_eq!(under_way(&store), Some(Moving { to: RegionId(2), fenced: fence }));
    }
    assert_eq!(store.set("acme", place(None, None)), Response::Done);
    assert_eq!(under_way(&store), None);
    assert_eq!(resolved(&store, "acme/app").0, RegionId(1));
}

#[test]
fn what_is_copied_is_set_within_bounds() {
    let mut store = three();
    let set = |store: &mut Store, replication: Replication| {
        store.set("acme", NamespaceRecord { replication: Some(replication), ..NamespaceRecord::default() })
    };
    let patterns = |count: usize| vec!["v*".parse().unwrap(); count];
    let wanted = Replication { tags: patterns(REPLICATION_TAGS_MAX), deletes: true, priority: 9 };
    assert_eq!(set(&mut store, wanted.clone()), Response::Done);
    assert_eq!(store.view().place_at("acme/app").unwrap().unwrap().replication, wanted);
    for (replication, problem) in [
        (Replication { tags: patterns(REPLICATION_TAGS_MAX + 1), ..Replication::default() }, "names 33 patterns"),
        (Replication { priority: 10, ..Replication::default() }, "has the priority 10"),
    ] {
        let Response::Refused(refusal) = set(&mut store, replication) else { panic!("{problem} is accepted") };
        assert!(refusal.to_string().starts_with(&format!("replication {problem}")), "{refusal}");
    }
    assert_eq!(store.view().place_at("acme").unwrap().unwrap().replication, wanted);
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
