//! The disks of a node as its status shows them: what the node says, what an operator wants, what the catalog places.

use std::collections::BTreeMap;

use raft::catalog::{DiskLocation, PlacementTotals};
use raft::directory::{DiskState, NodeRecord};
use raft::id::NodeId;
use storage::shard::DiskId;

use crate::admin::{DiskStatus, disk_state};
use crate::members::{DiskView, Member};

/// The disks of a node, with figures if it is a member that was heard from. Those that it does not name any more are
/// there until they are removed.
pub(super) fn disks(
    node: NodeId,
    member: Option<&Member>,
    record: &NodeRecord,
    held: &BTreeMap<DiskLocation, PlacementTotals>,
) -> Vec<DiskStatus> {
    let mut ids: Vec<DiskId> = record.disks.iter().map(|disk| disk.id).collect();
    ids.extend(member.iter().flat_map(|member| &member.disks).map(|disk| disk.id));
    ids.sort_unstable();
    ids.dedup();
    let told = |id| member.and_then(|member| member.disk(id)).copied();
    let status = |id: DiskId| {
        let held = held.get(&DiskLocation { node, disk: id }).copied().unwrap_or_default();
        let live = member.is_some_and(|member| member.live);
        disk(id, told(id), live, record, held)
    };
    ids.into_iter().map(status).filter(|disk| disk.state != disk_state(DiskState::Removed) || disk.shards > 0).collect()
}

fn disk(id: DiskId, told: Option<DiskView>, live: bool, record: &NodeRecord, held: PlacementTotals) -> DiskStatus {
    let recorded = record.disks.iter().find(|disk| disk.id == id).map_or(0, |disk| disk.capacity_bytes);
    let heard = told.filter(|_| live);
    DiskStatus {
        id: id.to_string(),
        capacity_bytes: told.map(|disk| disk.capacity_bytes).filter(|bytes| *bytes > 0).unwrap_or(recorded),
        available_bytes: heard.map(|disk| disk.available_bytes),
        writable: heard.map(|disk| disk.writable),
        state: disk_state(record.disk_state(id)).to_owned(),
        health: heard.map(|disk| disk.health.name().to_owned()),
        advice: heard.map(|disk| disk.health.advice().to_owned()).unwrap_or_default(),
        shards: held.shards,
        bytes: held.bytes,
    }
}
