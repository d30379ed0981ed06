//! Homes that are lost, and what stands aside of them.

use super::store::*;
use crate::directory::*;
use crate::id::RegionId;
use crate::policy::Role;

const HOME: RegionId = RegionId(1);
const US: RegionId = RegionId(2);
const ASIA: RegionId = RegionId(3);

/// A cluster of the regions `home`, `us` and `asia`.
fn three() -> Store {
    let mut store = Store::founded();
    store.add_region("us");
    store.add_region("asia");
    store
}

fn force(store: &mut Store, prefix: &str, to: RegionId) -> Response {
    let made_from = store.view().policy_version().unwrap();
    store.apply(Command::ForceHome { prefix: prefix.to_owned(), to, made_from })
}

fn settle(store: &mut Store, prefix: &str, region: RegionId) -> Response {
    let made_from = store.view().policy_version().unwrap();
    store.apply(Command::SettleAside { prefix: prefix.to_owned(), region, made_from })
}

fn replicated(copies: &[RegionId]) -> NamespaceRecord {
    NamespaceRecord { residency: Some(Residency::Replicated(copies.to_vec())), ..NamespaceRecord::default() }
}

fn at(store: &Store, prefix: &str) -> Place {
    store.view().place_at(prefix).unwrap().unwrap()
}

fn roles(store: &Store, prefix: &str) -> [Role; 3] {
    let place = at(store, prefix);
    [HOME, US, ASIA].map(|region| place.role(region))
}

fn aside(store: &Store, prefix: &str) -> Vec<RegionId> {
    at(store, prefix).aside.iter().map(|aside| aside.region).collect()
}

fn is_aside(prefix: &str, region: &str) -> Response {
    refused(Refusal::IsAside { prefix: prefix.to_owned(), region: region.to_owned() })
}

#[test]
fn a_copy_becomes_the_home_and_what_the_lost_one_holds_stays() {
    let mut store = three();
    store.set("acme", replicated(&[US, ASIA]));
    let version = store.view().policy_version().unwrap();
    assert_eq!(force(&mut store, "acme", US), Response::Done);
    assert_eq!(roles(&store, "acme/app"), [Role::Fenced, Role::Home, Role::Replica]);
    let place = at(&store, "acme");
    assert_eq!((place.copies(), place.residency), (vec![ASIA], Residency::Replicated(vec![ASIA])));
    assert_eq!(place.aside, [Aside { region: HOME, since: store.now }]);
    assert_eq!(store.view().policy_version().unwrap(), version + 1, "the catalogs hear of it");
    assert_eq!(force(&mut store, "acme", US), refused(Refusal::HomeAlready("us".to_owned())));
    assert_eq!(roles(&store, "other"), [Role::Home, Role::Foreign, Role::Foreign], "and of nothing else");
}

#[test]
fn a_longer_prefix_with_a_home_of_its_own_keeps_its_copies() {
    let mut store = three();
    let own = |home| NamespaceRecord { home: Some(home), ..NamespaceRecord::default() };
    store.set("", replicated(&[US, ASIA]));
    store.set("acme/mid", NamespaceRecord { elsewhere: Some(Elsewhere::Refuse), ..NamespaceRecord::default() });
    for prefix in ["acme/mid/own", "acme/mid/own/inner", "acme-x"] {
        store.set(prefix, own(HOME));
    }
    store.set("acme/said", replicated(&[ASIA]));
    store.set("acme/said/own", own(HOME));
    assert_eq!(force(&mut store, "abroad", US), Response::Done);
    let staying = ["acme/mid/own", "acme/mid/own/inner/app", "acme-x", "acme/said", "acme/said/own", "abroad"];
    let state =
        |store: &Store| staying.map(|prefix| (at(store, prefix).home, roles(store, prefix), aside(store, prefix)));
    let before = state(&store);
    assert_eq!(before[0].1, [Role::Home, Role::Replica, Role::Replica]);

    assert_eq!(force(&mut store, "acme", US), Response::Done);
    assert_eq!(roles(&store, "acme/mid"), [Role::Fenced, Role::Home, Role::Replica], "what moves says what it says");
    let after = state(&store);
    assert_eq!([&after[..3], &after[4..]], [&before[..3], &before[4..]]);
    let residency = |store: &Store, prefix: &str| store.view().namespace(prefix).unwrap().and_then(|own| own.residency);
    assert_eq!(residency(&store, "acme/mid/own"), Some(Residency::Replicated(vec![US, ASIA])));
    for inherits in ["acme/mid", "acme/mid/own/inner", "acme-x", "acme/said/own"] {
        assert_eq!(residency(&store, inherits), None, "{inherits}");
    }

    let before = state(&store);
    assert_eq!(force(&mut store, "", ASIA), Response::Done);
    let after = state(&store);
    assert_eq!(after[..2], before[..2]);
    assert_eq!(after[2], before[2], "the root's list is changed for the root alone");
    assert_eq!(after[5], before[5]);
    assert_eq!(residency(&store, ""), Some(Residency::Replicated(vec![US])));
    assert_eq!(residency(&store, "abroad"), Some(Residency::Replicated(vec![ASIA])), "no list names its own home");
    let again = store.view().namespace("abroad").unwrap().unwrap();
    let edited = NamespaceRecord { elsewhere: Some(Elsewhere::Refuse), ..again };
    assert_eq!(store.set("abroad", edited), Response::Done, "it can be edited");
}

#[test]
fn a_repeated_proposal_whose_answer_was_lost_is_done() {
    let mut store = three();
    store.set("acme", replicated(&[US]));
    let made_from = store.view().policy_version().unwrap();
    let prefix = || "acme".to_owned();
    let forced = |made_from| Command::ForceHome { prefix: prefix(), to: US, made_from };
    assert_eq!(store.apply(forced(made_from)), Response::Done);
    let record = store.view().namespace("acme").unwrap();
    assert_eq!(store.repeat(forced(made_from)), Response::Done);
    assert_eq!(store.view().namespace("acme").unwrap(), record, "once");
    assert_eq!(store.apply(forced(made_from + 1)), refused(Refusal::HomeAlready("us".to_owned())));
    let settled = |region, made_from| Command::SettleAside { prefix: prefix(), region, made_from };
    assert_eq!(store.apply(settled(HOME, made_from + 1)), Response::Done);
    assert_eq!(store.repeat(settled(HOME, made_from + 1)), Response::Done);
    let not = Refusal::NotAside { prefix: prefix(), region: "home".to_owned() };
    assert_eq!(store.apply(settled(HOME, made_from + 2)), refused(not), "another one");
    assert_eq!(store.view().policy_version().unwrap(), made_from + 2);
}

#[test]
fn an_inherited_list_of_copies_is_changed_at_the_prefix_alone() {
    let mut store = three();
    store.set("acme", replicated(&[US]));
    store.set("", NamespaceRecord { residency: Some(Residency::Replicated(vec![ASIA])), ..NamespaceRecord::default() });
    assert_eq!(force(&mut store, "acme/app", US), Response::Done);
    assert_eq!(at(&store, "acme/app").residency, Residency::Home, "no copy is left");
    assert_eq!(at(&store, "acme").residency, Residency::Replicated(vec![US]));
    assert_eq!(force(&mut store, "other", US), Response::Done);
    assert_eq!(store.view().namespace("other").unwrap().unwrap().residency, None, "it goes on inheriting");
    assert_eq!(roles(&store, "other"), [Role::Fenced, Role::Home, Role::Replica]);
}

#[test]
fn a_move_that_was_under_way_ends_with_the_home() {
    let mut store = three();
    let moving = Some(Moving { to: ASIA, fenced: true });
    store.set("acme", NamespaceRecord { moving, ..replicated(&[US]) });
    assert_eq!(roles(&store, "acme"), [Role::Fenced, Role::Replica, Role::Replica]);
    assert_eq!(force(&mut store, "acme", US), Response::Done);
    assert_eq!((at(&store, "acme").moving, roles(&store, "acme")), (None, [Role::Fenced, Role::Home, Role::Foreign]));
}

#[test]
fn what_stands_aside_stays_so_whatever_is_set() {
    let mut store = three();
    store.set("acme", replicated(&[US, ASIA]));
    force(&mut store, "acme", US);
    let kept = [Aside { region: HOME, since: store.now }];
    let mut edited = store.view().namespace("acme").unwrap().unwrap();
    edited.aside.clear();
    edited.elsewhere = Some(Elsewhere::Refuse);
    assert_eq!(store.set("acme", edited.clone()), Response::Done);
    assert_eq!(at(&store, "acme").aside, kept);
    edited.residency = Some(Residency::Replicated(vec![HOME, ASIA]));
    assert_eq!(store.set("acme", edited.clone()), Response::Done);
    assert_eq!(roles(&store, "acme"), [Role::Fenced, Role::Home, Role::Replica], "no copy is written over it");
    let own = NamespaceRecord { home: Some(US), ..NamespaceRecord::default() };
    assert_eq!(store.set("acme/app", own), Response::Done);
    assert_eq!(at(&store, "acme/app").aside, kept, "a home of one's own takes along what was inherited");
    let made_from = store.view().policy_version().unwrap();
    let back = Command::RemoveNamespace { prefix: "acme/app".to_owned() };
    assert_eq!(store.apply(back), is_aside("acme/app", "home"));
    assert_eq!(store.view().policy_version().unwrap(), made_from);
}

#[test]
fn nothing_moves_to_where_something_stands_aside() {
    let mut store = three();
    force(&mut store, "acme", US);
    let moving =
        |home, to| NamespaceRecord { home, moving: Some(Moving { to, fenced: false }), ..NamespaceRecord::default() };
    assert_eq!(store.set("acme", moving(Some(US), HOME)), is_aside("acme", "home"));
    assert_eq!(store.set("acme/app", moving(None, HOME)), is_aside("acme/app", "home"), "inherited too");
    assert_eq!(force(&mut store, "acme", HOME), is_aside("acme", "home"));
    assert_eq!(force(&mut store, "acme/app", ASIA), Response::Done);
    assert_eq!(aside(&store, "acme/app"), [HOME, US]);
    assert_eq!(roles(&store, "acme/app"), [Role::Fenced, Role::Fenced, Role::Home]);
    assert_eq!(store.set("acme", moving(Some(US), ASIA)), Response::Done, "who has a home of his own does not move");
}

#[test]
fn a_shorter_prefix_does_not_move_over_what_stands_aside_below_it() {
    let mut store = three();
    assert_eq!(force(&mut store, "acme/app", US), Response::Done);
    let moving = |to, fenced| NamespaceRecord { moving: Some(Moving { to, fenced }), ..NamespaceRecord::default() };
    store.set(
        "acme/app",
        NamespaceRecord {
            home: Some(US),
            moving: Some(Moving { to: ASIA, fenced: true }),
            ..NamespaceRecord::default()
        },
    );
    store.set("acme/app", NamespaceRecord { home: Some(ASIA), ..NamespaceRecord::default() });
    store.set("acme", moving(ASIA, true));
    store.set("acme", NamespaceRecord { home: Some(ASIA), ..NamespaceRecord::default() });
    assert_eq!(store.set("acme/app", NamespaceRecord::default()), Response::Done, "it inherits the same home again");
    assert_eq!((at(&store, "acme/app").home, aside(&store, "acme/app")), (ASIA, vec![HOME]));
    let back = NamespaceRecord { home: Some(ASIA), ..moving(HOME, false) };
    assert_eq!(store.set("acme", back), is_aside("acme/app", "home"));
    assert_eq!(force(&mut store, "acme", HOME), is_aside("acme/app", "home"));
}

#[test]
fn what_stands_aside_is_settled_once_and_where_it_stands() {
    let mut store = three();
    force(&mut store, "acme", US);
    let not = |prefix: &str, region: &str| {
        refused(Refusal::NotAside { prefix: prefix.to_owned(), region: region.to_owned() })
    };
    assert_eq!(settle(&mut store, "acme", ASIA), not("acme", "asia"));
    assert_eq!(settle(&mut store, "acme/app", HOME), refused(Refusal::NamespaceUnknown("acme/app".to_owned())));
    let made_from = store.view().policy_version().unwrap();
    let early = Command::SettleAside { prefix: "acme".to_owned(), region: HOME, made_from: made_from - 1 };
    let changed = Refusal::NamespacesChanged { made_from: made_from - 1, version: made_from };
    assert_eq!(store.apply(early), refused(changed));
    assert_eq!(settle(&mut store, "acme", HOME), Response::Done);
    assert_eq!(roles(&store, "acme"), [Role::Foreign, Role::Home, Role::Foreign], "what is there goes");
    assert_eq!(settle(&mut store, "acme", HOME), not("acme", "home"));
    assert_eq!(store.view().policy_version().unwrap(), made_from + 1);
}

#[test]
fn a_home_is_forced_from_what_was_looked_at() {
    let mut store = Store::new();
    let forced = |to, made_from| Command::ForceHome { prefix: "acme".to_owned(), to, made_from };
    assert_eq!(store.apply(forced(US, 0)), refused(Refusal::NotFounded));
    let mut store = three();
    let version = store.view().policy_version().unwrap();
    let changed = Refusal::NamespacesChanged { made_from: version - 1, version };
    assert_eq!(store.apply(forced(US, version - 1)), refused(changed));
    assert!(matches!(store.apply(forced(RegionId(9), version)), Response::Refused(Refusal::RegionUnknown { .. })));
    assert_eq!(store.apply(forced(HOME, version)), refused(Refusal::HomeAlready("home".to_owned())));
    assert_eq!(force(&mut store, "/", US), refused(Refusal::NamespaceInvalid("/".to_owned())));
    assert_eq!(store.view().namespaces(None, 9).unwrap().len(), 1);
}

#[test]
fn so_many_homes_are_lost_and_no_more() {
    let mut store = three();
    let regions: Vec<RegionId> = (0..=ASIDE_MAX).map(|number| store.add_region(&format!("r{number}"))).collect();
    for region in &regions[..ASIDE_MAX] {
        assert_eq!(force(&mut store, "acme", *region), Response::Done);
    }
    let full = Refusal::TooManyAside { prefix: "acme".to_owned(), most: ASIDE_MAX as u64 };
    assert_eq!(force(&mut store, "acme", regions[ASIDE_MAX]), refused(full));
    assert_eq!(settle(&mut store, "acme", HOME), Response::Done);
    assert_eq!(force(&mut store, "acme", regions[ASIDE_MAX]), Response::Done);
}

#[test]
fn a_region_with_something_aside_is_not_retired() {
    let mut store = three();
    store.set("acme", replicated(&[US]));
    force(&mut store, "acme", US);
    force(&mut store, "acme", ASIA);
    let retire = Command::RetireRegion { region: US };
    let Response::Refused(refusal) = store.apply(retire.clone()) else { panic!("what stands aside is lost") };
    assert!(refusal.to_string().contains("regnode namespace aside acme --settle us"), "{refusal}");
    assert_eq!(settle(&mut store, "acme", US), Response::Done);
    assert_eq!(store.apply(retire), Response::Done);
}
