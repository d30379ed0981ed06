//! Regions: added, founded by their first node, described, retired.

use super::store::*;
use crate::directory::*;
use crate::id::{NodeId, RegionId};

const US: RegionId = RegionId(2);

fn add(name: &str) -> Command {
    Command::AddRegion { name: name.to_owned() }
}

fn retire(region: RegionId) -> Command {
    Command::RetireRegion { region }
}

fn set_region(region: RegionId, public_url: Option<String>, inbound_bytes_per_second: Option<u64>) -> Command {
    Command::SetRegion { region, public_url, inbound_bytes_per_second }
}

fn set_state(node: NodeId, state: NodeState) -> Command {
    Command::SetNodeState { node, state }
}

fn admitted(node: u64, region: RegionId, founds: bool) -> Response {
    Response::Admitted { node: NodeId(node), region, founds }
}

fn founder(store: &Store, region: RegionId) -> Option<NodeId> {
    store.view().region(region).unwrap().unwrap().founder
}

fn moving_to(to: RegionId) -> NamespaceRecord {
    NamespaceRecord { moving: Some(Moving { to, fenced: true }), ..NamespaceRecord::default() }
}

/// A cluster of the regions `home` and `us`, with the nodes 1 and 2.
fn two() -> Store {
    let mut store = Store::founded();
    assert_eq!(store.add_region("us"), US);
    assert_eq!(store.run_in("us", "two"), NodeId(2));
    store
}

#[test]
fn a_region_is_added_once_under_a_name_of_its_own() {
    let mut store = Store::new();
    assert_eq!(store.apply(add("us")), refused(Refusal::NotFounded));
    let mut store = Store::founded();
    assert_eq!(store.apply(add("us")), Response::Done);
    assert_eq!(store.repeat(add("us")), Response::Done, "a repetition of the request gets the same answer");
    assert_eq!(store.apply(add("us")), refused(Refusal::RegionExists("us".to_owned())));
    assert_eq!(store.apply(add("home")), refused(Refusal::RegionExists("home".to_owned())));
    assert_eq!(store.apply(add("US")), refused(Refusal::RegionInvalid("US".to_owned())));
    let (id, record) = store.view().region_named("us").unwrap().unwrap();
    assert_eq!((id, record.founder, record.public_url, record.founded), (US, None, None, store.now));
    assert_eq!(store.view().regions().unwrap().len(), 2);
}

#[test]
fn the_first_region_is_named_by_the_same_rules() {
    let mut store = Store::new();
    let mut odd = found("one");
    if let Command::Found { region, .. } = &mut odd {
        *region = "Europe!".to_owned();
    }
    assert_eq!(store.apply(odd), refused(Refusal::RegionInvalid("Europe!".to_owned())));
    assert!(store.view().cluster().unwrap().is_none());
}

#[test]
fn there_are_so_many_regions_and_no_more() {
    let mut store = Store::founded();
    for number in 1..REGIONS_MAX {
        store.add_region(&format!("r{number}"));
    }
    assert_eq!(store.apply(add("more")), refused(Refusal::TooManyRegions(REGIONS_MAX as u64)));
    assert_eq!(store.apply(retire(RegionId(5))), Response::Done);
    assert_eq!(
        store.add_region("more"),
        RegionId(u32::try_from(REGIONS_MAX).unwrap() + 1),
        "an id is never used again"
    );
}

#[test]
fn the_first_node_of_a_region_founds_it() {
    let mut store = Store::founded();
    store.add_region("us");
    let first = store.join_to("us", "two");
    assert_eq!(first, admitted(2, US, true));
    assert_eq!(founder(&store, US), Some(NodeId(2)));
    store.apply(Command::UpdateNode { node: NodeId(2), info: info("two") });
    assert_eq!(store.join_to("us", "three"), admitted(3, US, false));
    assert_eq!(store.join_to("home", "four"), admitted(4, RegionId(1), false));
    assert_eq!(founder(&store, US), Some(NodeId(2)));
}

#[test]
fn a_repeated_admission_says_again_whether_it_founds() {
    let mut store = Store::founded();
    store.add_region("us");
    for token in [[7; 8], [8; 8]] {
        store.apply(Command::AddJoinToken { token, secret_hash: [1; 32], lifetime_seconds: 60 });
    }
    let first = store.apply(admit_to("us", [7; 8], info("two"), None));
    assert_eq!(first, admitted(2, US, true));
    assert_eq!(store.repeat(admit_to("us", [7; 8], info("two"), None)), first);
    assert_eq!(store.repeat(admit_to("us", [8; 8], info("two"), None)), first, "also with another token");
}

#[test]
fn nobody_joins_a_region_before_its_founder_runs() {
    let mut store = Store::founded();
    store.add_region("us");
    store.join_to("us", "two");
    let waits = refused(Refusal::RegionNotFounded { region: "us".to_owned(), founder: NodeId(2) });
    assert_eq!(store.join_to("us", "three"), waits);
    let token = [77; 8];
    store.apply(Command::AddJoinToken { token, secret_hash: [1; 32], lifetime_seconds: 60 });
    assert_eq!(store.apply(admit_to("us", token, info("two"), Some(NodeId(2)))), waits, "nor takes its place");
    store.apply(set_state(NodeId(2), NodeState::Removed));
    assert_eq!(store.join_to("us", "three"), admitted(3, US, true), "the next one founds it");
    assert_eq!(founder(&store, US), Some(NodeId(3)));
}

#[test]
fn a_region_whose_nodes_are_all_gone_is_founded_anew_and_no_other() {
    let mut store = two();
    store.run_in("us", "three");
    assert_eq!(store.apply(set_state(NodeId(2), NodeState::Removed)), Response::Done);
    assert_eq!(store.join_to("us", "four"), admitted(4, US, false), "node 3 has the catalog");
    store.apply(set_state(NodeId(4), NodeState::Removed));
    assert_eq!(store.apply(set_state(NodeId(3), NodeState::Removed)), Response::Done);
    assert_eq!(store.join_to("us", "five"), admitted(5, US, true));
}

#[test]
fn the_last_node_goes_only_from_a_region_that_is_given_up() {
    let mut store = two();
    let gone = set_state(NodeId(2), NodeState::Removed);
    let drain = Command::DrainNode { node: NodeId(2), shards: 1, bytes: 1, leave: true };
    assert_eq!(store.apply(Command::SetPrimary { region: US }), Response::Done);
    assert_eq!(store.apply(gone.clone()), refused(Refusal::LastNode(NodeId(2))));
    store.apply(Command::SetPrimary { region: RegionId(1) });
    store.set("acme", moving_to(US));
    let named = refused(Refusal::LastNodeOf { node: NodeId(2), namespace: "acme".to_owned() });
    assert_eq!((store.apply(gone.clone()), store.apply(drain.clone())), (named.clone(), named));
    store.set("acme", NamespaceRecord::default());
    assert_eq!(store.apply(drain), Response::Done);
    assert_eq!(store.apply(gone), Response::Done);
    assert_eq!(store.apply(set_state(NodeId(1), NodeState::Removed)), refused(Refusal::LastNode(NodeId(1))));
}

#[test]
fn a_region_is_retired_when_nothing_is_in_the_way() {
    let mut store = two();
    let named = |namespace: &str| Refusal::RegionNamed { region: "us".to_owned(), namespace: namespace.to_owned() };
    assert_eq!(store.apply(retire(RegionId(1))), refused(Refusal::RegionIsPrimary("home".to_owned())));
    let in_it = Refusal::RegionHasNode { region: "us".to_owned(), node: NodeId(2) };
    assert_eq!(store.apply(retire(US)), refused(in_it));
    store.apply(set_state(NodeId(2), NodeState::Removed));
    let copies = Residency::Replicated(vec![US]);
    store.set("acme", NamespaceRecord { residency: Some(copies), ..NamespaceRecord::default() });
    assert_eq!(store.apply(retire(US)), refused(named("acme")));
    store.set("acme", moving_to(US));
    assert_eq!(store.apply(retire(US)), refused(named("acme")));
    store.set("acme", NamespaceRecord { home: Some(US), ..NamespaceRecord::default() });
    assert_eq!(store.apply(retire(US)), refused(named("acme")));
    store.set("acme", NamespaceRecord { home: Some(US), ..moving_to(RegionId(1)) });
    store.set("acme", NamespaceRecord::default());
    assert_eq!(store.apply(retire(US)), Response::Done);
    assert_eq!(store.apply(retire(US)), Response::Done, "a repetition after a lost answer");
    assert_eq!(store.view().region(US).unwrap(), None);
    let unknown = Refusal::RegionUnknown { name: "9".to_owned(), known: vec!["home".to_owned()] };
    assert_eq!(store.apply(retire(RegionId(9))), refused(unknown));
    assert_eq!(store.add_region("us"), RegionId(3), "the name is free, the id is not");
}

#[test]
fn the_primary_has_an_active_node() {
    let mut store = Store::founded();
    store.add_region("us");
    let primary = |store: &mut Store, region| store.apply(Command::SetPrimary { region });
    assert_eq!(primary(&mut store, US), refused(Refusal::RegionEmpty("us".to_owned())));
    store.join_to("us", "two");
    assert_eq!(
        primary(&mut store, US),
        refused(Refusal::RegionEmpty("us".to_owned())),
        "one that never ran cannot vote"
    );
    store.apply(Command::UpdateNode { node: NodeId(2), info: info("two") });
    assert_eq!(primary(&mut store, US), Response::Done);
    assert_eq!(primary(&mut store, US), Response::Done);
    assert_eq!(store.view().primary().unwrap(), Some(US));
    let known = vec!["home".to_owned(), "us".to_owned()];
    assert_eq!(primary(&mut store, RegionId(9)), refused(Refusal::RegionUnknown { name: "9".to_owned(), known }));
}

#[test]
fn a_region_says_where_clients_reach_it() {
    let mut store = two();
    let set = |store: &mut Store, url: Option<&str>| store.apply(set_region(US, url.map(ToOwned::to_owned), None));
    assert_eq!(set(&mut store, Some("https://us.example.com")), Response::Done);
    let url = |store: &Store| store.view().region(US).unwrap().unwrap().public_url;
    assert_eq!(url(&store).as_deref(), Some("https://us.example.com"));
    let path = "https://us.example.com/v2";
    assert_eq!(set(&mut store, Some(path)), refused(Refusal::PublicUrlInvalid(path.to_owned())));
    assert_eq!(set(&mut store, None), Response::Done);
    assert_eq!(url(&store), None);
    let other = set_region(RegionId(9), None, None);
    assert!(matches!(store.apply(other), Response::Refused(Refusal::RegionUnknown { .. })));
}

#[test]
fn a_region_says_how_much_may_arrive_in_it() {
    let mut store = two();
    let inbound = |store: &Store| store.view().region(US).unwrap().unwrap().inbound_bytes_per_second;
    assert_eq!(store.apply(set_region(US, None, Some(50_000_000))), Response::Done);
    assert_eq!(inbound(&store), Some(50_000_000));
    assert_eq!(store.apply(set_region(US, None, Some(0))), refused(Refusal::InboundZero));
    assert_eq!(inbound(&store), Some(50_000_000));
    assert_eq!(store.apply(set_region(US, None, None)), Response::Done);
    assert_eq!(inbound(&store), None);
}

#[test]
fn the_catalogs_hear_of_every_change_of_regions() {
    let mut store = Store::founded();
    let mut last = store.view().policy_version().unwrap();
    let url = |url: &str| set_region(US, Some(url.to_owned()), None);
    for (command, counts) in [
        (add("us"), true),
        (add("us"), false),
        (url("https://us"), true),
        (url("https://us"), false),
        (url("us"), false),
        (set_region(US, Some("https://us".to_owned()), Some(1)), true),
        (set_region(US, Some("https://us".to_owned()), Some(1)), false),
        (retire(US), true),
        (retire(US), false),
    ] {
        store.apply(command.clone());
        let version = store.view().policy_version().unwrap();
        assert_eq!(version, last + u64::from(counts), "{command:?}");
        last = version;
    }
}

#[test]
fn after_a_takeover_nothing_is_given_out_that_may_have_been_given_out_unheard() {
    let mut store = two();
    let (before, version) = (store.view().cluster().unwrap().unwrap(), store.view().policy_version().unwrap());
    let unknown = store.apply(Command::BeginAnew { primary: RegionId(9) });
    assert!(matches!(unknown, Response::Refused(Refusal::RegionUnknown { .. })), "{unknown:?}");
    assert_eq!(store.apply(Command::BeginAnew { primary: US }), Response::Done);
    let after = store.view().cluster().unwrap().unwrap();
    assert_eq!(store.view().primary().unwrap(), Some(US));
    assert!(after.next_node.0 >= before.next_node.0 + 1000 && after.next_region.0 >= before.next_region.0 + 1000);
    assert!(store.view().policy_version().unwrap() > version + 1_000_000);
    assert!(store.run_in("us", "three").0 > 1000);
}

#[test]
fn after_a_takeover_nothing_is_taken_away_until_somebody_says_so() {
    let mut store = two();
    let held = |store: &Store| store.view().cluster().unwrap().unwrap().evictions_held;
    assert_eq!(held(&store), None);
    assert_eq!(store.apply(Command::BeginAnew { primary: US }), Response::Done);
    assert_eq!(held(&store), Some(store.view().clock().unwrap()));
    let version = store.view().policy_version().unwrap();
    for _ in 0..2 {
        assert_eq!(store.apply(Command::ReleaseEvictions), Response::Done);
        assert_eq!((held(&store), store.view().policy_version().unwrap()), (None, version));
    }
}
