//! A machine in the place of another one.

use super::store::*;
use crate::directory::*;
use crate::id::{NodeId, RegionId};

fn runs(store: &mut Store, node: u64, info: NodeInfo) {
    assert_eq!(store.apply(Command::UpdateNode { node: NodeId(node), info }), Response::Done);
}

fn admitted(node: u64) -> Response {
    Response::Admitted { node: NodeId(node), region: RegionId(1), founds: false }
}

/// Nodes one and two run.
fn two() -> Store {
    let mut store = Store::founded();
    store.run("two");
    store
}

#[test]
fn a_replaced_node_is_emptied_as_soon_as_its_successor_runs() {
    let mut store = two();
    assert_eq!(store.join_as(info("three"), Some(2)), admitted(3));
    assert_eq!(store.node(2).state, NodeState::Active, "the new one has yet to run");
    runs(&mut store, 3, info("three"));
    let old = store.node(2);
    assert_eq!((old.state, old.replaced_by), (NodeState::Draining, Some(NodeId(3))));
    assert!(old.drain.is_some_and(|drain| drain.leave));
    assert_eq!(store.node(3).replaces, Some(NodeId(2)));
    let undo = Command::SetNodeState { node: NodeId(2), state: NodeState::Active };
    assert_eq!(store.apply(undo.clone()), refused(Refusal::BeingReplaced(NodeId(2), NodeId(3))));
    store.apply(Command::SetNodeState { node: NodeId(3), state: NodeState::Removed });
    assert_eq!(store.apply(undo), Response::Done);
    assert_eq!(store.node(2).replaced_by, None);
}

#[test]
fn an_address_has_one_node_unless_that_one_is_replaced() {
    let mut store = two();
    let machine = NodeInfo { name: "new".to_owned(), ..info("two") };
    let taken = Refusal::AddressTaken(NodeId(2), "two:5001".to_owned());
    assert_eq!(store.join_as(machine.clone(), None), refused(taken.clone()));
    assert_eq!(store.join_as(machine.clone(), Some(1)), refused(taken));
    assert_eq!(store.join_as(machine, Some(2)), admitted(3));
}

#[test]
fn a_successor_may_take_the_name_too() {
    let mut store = two();
    assert_eq!(store.join_as(info("two"), Some(2)), admitted(3));
    assert_eq!(store.view().node_by_name("two").unwrap().unwrap().0, NodeId(3));
    assert_eq!(store.view().node_by_name("two-replaced-2").unwrap().unwrap().0, NodeId(2));
    runs(&mut store, 3, info("two"));
    let taken = refused(Refusal::NameTaken(NodeId(3), "two".to_owned()));
    assert_eq!(store.apply(Command::UpdateNode { node: NodeId(2), info: info("two") }), taken);
    assert_eq!(store.apply(Command::SetNodeState { node: NodeId(2), state: NodeState::Removed }), Response::Done);
    assert_eq!(store.view().node_by_name("two").unwrap().unwrap().0, NodeId(3), "the name stays with the new one");
}

#[test]
fn an_attempt_that_broke_off_makes_way() {
    let mut store = two();
    assert_eq!(store.join_as(info("two"), Some(2)), admitted(3));
    assert_eq!(store.join_as(info("two"), Some(2)), admitted(4));
    assert_eq!(store.node(3).state, NodeState::Removed);
    assert_eq!(store.view().node_by_name("two").unwrap().unwrap().0, NodeId(4));
    runs(&mut store, 4, info("two"));
    assert_eq!(store.node(2).replaced_by, Some(NodeId(4)));
    let second = store.join_as(info("five"), Some(2));
    assert_eq!(second, refused(Refusal::BeingReplaced(NodeId(2), NodeId(4))));
}

#[test]
fn a_node_that_never_ran_is_replaced_at_once() {
    let mut store = Store::founded();
    store.join("two");
    assert_eq!(store.join_as(info("two"), Some(2)), admitted(3));
    runs(&mut store, 3, info("two"));
    assert_eq!(store.node(2).state, NodeState::Removed);
}

#[test]
fn only_a_present_node_can_be_replaced() {
    let mut store = two();
    assert_eq!(store.join_as(info("three"), Some(7)), refused(Refusal::NodeUnknown(NodeId(7))));
    store.apply(Command::SetNodeState { node: NodeId(2), state: NodeState::Removed });
    assert_eq!(store.join_as(info("three"), Some(2)), refused(Refusal::NodeUnknown(NodeId(2))));
    assert_eq!(store.join_as(info("three"), None), admitted(3), "a refused admission uses up no id");
}

#[test]
fn a_second_successor_is_just_another_node() {
    let mut store = two();
    store.join_as(info("three"), Some(2));
    store.apply(Command::SetNodeState { node: NodeId(2), state: NodeState::Removed });
    runs(&mut store, 3, info("three"));
    assert_eq!(store.node(3).state, NodeState::Active);
}
