//! The cluster and its nodes.

use super::store::*;
use crate::directory::*;
use crate::id::{NodeId, RegionId};

#[test]
fn nothing_works_before_the_cluster_is_founded() {
    let mut store = Store::new();
    let token = Command::AddJoinToken { token: [1; 8], secret_hash: [1; 32], lifetime_seconds: 60 };
    let namespace = Command::SetNamespace { prefix: String::new(), record: NamespaceRecord::default(), made_from: 0 };
    let remove = Command::RemoveNamespace { prefix: "acme".to_owned() };
    let update = Command::UpdateNode { node: NodeId(1), info: info("one") };
    for command in [token, namespace, remove, update, admit([1; 8], "one"), Command::RaiseFeatureLevel { level: 1 }] {
        assert_eq!(store.apply(command), refused(Refusal::NotFounded));
    }
    assert!(store.view().cluster().unwrap().is_none());
    assert!(store.view().place(&"app".parse().unwrap()).unwrap().is_none());
}

#[test]
fn a_cluster_is_founded_once_with_region_node_and_root() {
    let mut store = Store::founded();
    let admitted = Response::Admitted { node: NodeId(1), region: RegionId(1), founds: true };
    assert_eq!(store.repeat(found("one")), admitted, "a repetition of the request gets the same answer");
    assert_eq!(store.apply(found("one")), refused(Refusal::AlreadyFounded));
    let view = store.view();
    let cluster = view.cluster().unwrap().unwrap();
    assert_eq!((cluster.next_node, cluster.next_region, cluster.founded), (NodeId(2), RegionId(2), store.now));
    assert_eq!(view.region_named("home").unwrap().unwrap().0, RegionId(1));
    assert_eq!(view.region(RegionId(1)).unwrap().unwrap().founder, Some(NodeId(1)));
    assert_eq!(view.primary().unwrap(), Some(RegionId(1)));
    assert_eq!(view.nodes().unwrap().len(), 1);
    assert_eq!(view.node_by_name("one").unwrap().unwrap().0, NodeId(1));
    let root = view.namespace("").unwrap().unwrap();
    let (home, residency) = (Some(RegionId(1)), Some(Residency::Home));
    assert_eq!(root, NamespaceRecord { home, residency, ..NamespaceRecord::default() });
}

#[test]
fn a_node_may_change_its_name_to_a_free_one() {
    let mut store = Store::founded();
    store.join("two");
    let rename = |name| Command::UpdateNode { node: NodeId(2), info: info(name) };
    assert_eq!(store.apply(rename("one")), refused(Refusal::NameTaken(NodeId(1), "one".to_owned())));
    assert_eq!(store.apply(rename("drei")), Response::Done);
    assert!(store.view().node_by_name("two").unwrap().is_none());
    assert_eq!(store.view().node_by_name("drei").unwrap().unwrap().1.info.peer_address, "drei:5001");
    assert_eq!(store.apply(rename("drei")), Response::Done);
    let unknown = Command::UpdateNode { node: NodeId(9), info: info("nine") };
    assert_eq!(store.apply(unknown), refused(Refusal::NodeUnknown(NodeId(9))));
}

#[test]
fn a_node_is_a_member_once_it_says_that_it_runs() {
    let mut store = Store::founded();
    let state = |store: &Store, node| store.view().node(NodeId(node)).unwrap().unwrap().state;
    assert_eq!(state(&store, 1), NodeState::Active, "the first one runs when it founds the cluster");
    store.join("two");
    assert_eq!(state(&store, 2), NodeState::Joining);
    let update = Command::UpdateNode { node: NodeId(2), info: info("two") };
    assert_eq!(store.apply(update.clone()), Response::Done);
    assert_eq!(state(&store, 2), NodeState::Active);
    let rejoin = Command::SetNodeState { node: NodeId(2), state: NodeState::Joining };
    assert_eq!(store.apply(rejoin), refused(Refusal::JoinedAlready(NodeId(2))));
    store.apply(Command::SetNodeState { node: NodeId(2), state: NodeState::Draining });
    assert_eq!(store.node(2).drain.map(|drain| drain.leave), Some(false));
    assert_eq!(store.apply(update), Response::Done);
    assert_eq!(state(&store, 2), NodeState::Draining, "what an operator has decided stays");
}

#[test]
fn a_removed_node_stays_removed_and_its_id_is_not_used_again() {
    let mut store = Store::founded();
    store.run("two");
    let set = |state| Command::SetNodeState { node: NodeId(2), state };
    assert_eq!(store.apply(set(NodeState::Draining)), Response::Done);
    assert_eq!(store.apply(set(NodeState::Active)), Response::Done);
    assert_eq!(store.apply(set(NodeState::Removed)), Response::Done);
    assert_eq!(store.apply(set(NodeState::Removed)), Response::Done);
    assert_eq!(store.apply(set(NodeState::Active)), refused(Refusal::NodeUnknown(NodeId(2))));
    let update = Command::UpdateNode { node: NodeId(2), info: info("two") };
    assert_eq!(store.apply(update), refused(Refusal::NodeUnknown(NodeId(2))));
    assert_eq!(
        store.join("two"),
        Response::Admitted { node: NodeId(3), region: RegionId(1), founds: false },
        "the name is free"
    );
    assert_eq!(store.view().node(NodeId(2)).unwrap().unwrap().state, NodeState::Removed);
    assert_eq!(store.view().nodes().unwrap().len(), 3);
}

#[test]
fn the_feature_level_rises_once_all_nodes_understand_it() {
    let mut store = Store::founded();
    store.join("two");
    let raise = |level| Command::RaiseFeatureLevel { level };
    assert_eq!(store.apply(raise(0)), refused(Refusal::FeatureLevelSinks(1)));
    assert_eq!(store.apply(raise(3)), refused(Refusal::FeatureLevelTooHigh(NodeId(1), 3)));
    let newer = |name: &str| NodeInfo { feature_level: 3, ..info(name) };
    store.apply(Command::UpdateNode { node: NodeId(1), info: newer("one") });
    assert_eq!(store.apply(raise(3)), refused(Refusal::FeatureLevelTooHigh(NodeId(2), 3)));
    store.apply(Command::SetNodeState { node: NodeId(2), state: NodeState::Removed });
    assert_eq!(store.apply(raise(3)), Response::Done);
    assert_eq!(store.apply(raise(3)), Response::Done);
    assert_eq!(store.join("three"), refused(Refusal::FeatureLevelTooHigh(NodeId(3), 3)), "too old for this cluster");
}

#[test]
fn the_clock_is_monotonic_and_bounded() {
    let mut store = Store::founded();
    let begin = store.now;
    store.now = crate::time::Timestamp(7);
    store.apply(Command::Tick);
    assert_eq!(store.view().clock().unwrap(), begin);
    store.now = begin.plus_seconds(100_000);
    store.apply(Command::Tick);
    assert_eq!(store.view().clock().unwrap(), begin.plus_seconds(3600));
}
