//! Disks: what nodes say of them and what operators want.

use storage::shard::DiskId;

use super::store::*;
use crate::directory::*;
use crate::id::NodeId;

const DISK: DiskId = DiskId([1; 16]);

fn set(disk: DiskId, state: DiskState) -> Command {
    Command::SetDiskState { node: NodeId(1), disk, state }
}

fn disks(ids: &[u8]) -> Command {
    let disks = ids.iter().map(|id| DiskInfo { id: DiskId([*id; 16]), capacity_bytes: 7 }).collect();
    Command::UpdateNode { node: NodeId(1), info: NodeInfo { disks, ..info("one") } }
}

#[test]
fn a_disk_keeps_what_an_operator_wants_of_it() {
    let mut store = Store::founded();
    assert_eq!(store.node(1).disk_state(DISK), DiskState::Active);
    assert_eq!(store.apply(set(DISK, DiskState::Draining)), Response::Done);
    assert_eq!(store.apply(disks(&[1, 2])), Response::Done);
    let node = store.node(1);
    assert_eq!((node.disk_state(DISK), node.disk_state(DiskId([2; 16]))), (DiskState::Draining, DiskState::Active));
    assert_eq!(node.disks[0].capacity_bytes, 7, "what the node says is taken over");
    assert_eq!(store.apply(set(DISK, DiskState::Active)), Response::Done);
    assert_eq!(store.node(1).disk_state(DISK), DiskState::Active);
}

#[test]
fn a_disk_that_its_node_names_no_more_is_still_known() {
    let mut store = Store::founded();
    assert_eq!(store.apply(disks(&[2])), Response::Done);
    assert_eq!(store.node(1).disks.len(), 2);
    assert_eq!(store.apply(set(DISK, DiskState::Failed)), Response::Done);
    assert_eq!(store.node(1).disk_state(DISK), DiskState::Failed);
}

#[test]
fn a_removed_disk_stays_removed() {
    let mut store = Store::founded();
    assert_eq!(store.apply(set(DISK, DiskState::Removed)), Response::Done);
    assert_eq!(store.apply(set(DISK, DiskState::Removed)), Response::Done);
    let unknown = refused(Refusal::DiskUnknown(NodeId(1), DISK));
    assert_eq!(store.apply(set(DISK, DiskState::Active)), unknown);
    assert_eq!(store.apply(disks(&[1])), Response::Done);
    assert_eq!(store.node(1).disk_state(DISK), DiskState::Removed, "also when its node names it again");
}

#[test]
fn unknown_disks_and_nodes_are_refused() {
    let mut store = Store::founded();
    let other = DiskId([9; 16]);
    assert_eq!(store.apply(set(other, DiskState::Failed)), refused(Refusal::DiskUnknown(NodeId(1), other)));
    let elsewhere = Command::SetDiskState { node: NodeId(7), disk: DISK, state: DiskState::Failed };
    assert_eq!(store.apply(elsewhere), refused(Refusal::NodeUnknown(NodeId(7))));
}
