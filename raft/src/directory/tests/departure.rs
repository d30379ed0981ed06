//! Draining and leaving.

use super::store::*;
use crate::directory::*;
use crate::id::NodeId;

fn drain(node: u64, bytes: u64, leave: bool) -> Command {
    Command::DrainNode { node: NodeId(node), shards: bytes / 10, bytes, leave }
}

fn set(node: u64, state: NodeState) -> Command {
    Command::SetNodeState { node: NodeId(node), state }
}

#[test]
fn a_drain_remembers_how_it_began() {
    let mut store = Store::founded();
    store.run("two");
    let begin = store.now;
    assert_eq!(store.apply(drain(2, 1000, false)), Response::Done);
    store.now = store.now.plus_seconds(60);
    assert_eq!(store.apply(drain(2, 10, false)), Response::Done);
    let record = store.node(2);
    assert_eq!(record.state, NodeState::Draining);
    assert_eq!(record.drain, Some(DrainRecord { since: begin, shards: 100, bytes: 1000, leave: false }));
    assert_eq!(store.apply(drain(2, 10, true)), Response::Done);
    assert_eq!(store.node(2).drain.map(|drain| (drain.bytes, drain.leave)), Some((1000, true)));
    assert_eq!(store.apply(drain(2, 10, false)), Response::Done);
    assert!(store.node(2).drain.is_some_and(|drain| drain.leave), "a repetition takes nothing back");
}

#[test]
fn a_drain_can_be_taken_back() {
    let mut store = Store::founded();
    store.run("two");
    store.apply(drain(2, 1000, true));
    assert_eq!(store.apply(set(2, NodeState::Active)), Response::Done);
    let record = store.node(2);
    assert_eq!((record.state, record.drain), (NodeState::Active, None));
}

#[test]
fn the_last_active_node_neither_drains_nor_leaves() {
    let mut store = Store::founded();
    let last = refused(Refusal::LastNode(NodeId(1)));
    assert_eq!(store.apply(drain(1, 0, false)), last);
    store.join("two");
    assert_eq!(store.apply(drain(1, 0, false)), last, "one that never ran cannot take over");
    store.apply(Command::UpdateNode { node: NodeId(2), info: info("two") });
    assert_eq!(store.apply(drain(2, 0, false)), Response::Done);
    assert_eq!(store.apply(drain(1, 0, false)), last, "the other one is leaving");
    assert_eq!(store.apply(set(1, NodeState::Removed)), last);
    assert_eq!(store.apply(set(2, NodeState::Removed)), Response::Done);
    assert_eq!(store.apply(drain(2, 0, false)), refused(Refusal::NodeUnknown(NodeId(2))));
}

#[test]
fn a_node_that_never_ran_goes_at_once() {
    let mut store = Store::founded();
    store.join("two");
    assert_eq!(store.apply(drain(2, 0, true)), Response::Done);
    assert_eq!(store.node(2).state, NodeState::Removed);
}
