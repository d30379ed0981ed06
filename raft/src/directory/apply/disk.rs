//! Disks: what an operator wants of them.

use storage::shard::DiskId;

use super::{Context, Outcome, node};
use crate::directory::command::Response;
use crate::directory::record::DiskState;
use crate::directory::refusal::Refusal;
use crate::directory::table::Nodes;
use crate::id::NodeId;
use crate::table::Table;

/// Says what is wanted of a disk. Removed is for ever: a directory that comes back is emptied, and a new disk then.
pub(super) fn set_state(context: &mut Context<'_, '_>, node: NodeId, disk: DiskId, state: DiskState) -> Outcome {
    let Some(mut record) = node::member(context, node)? else { return Ok(Err(Refusal::NodeUnknown(node))) };
    let Some(known) = record.disks.iter_mut().find(|known| known.id == disk) else {
        return Ok(Err(Refusal::DiskUnknown(node, disk)));
    };
    if known.state == DiskState::Removed && state != DiskState::Removed {
        return Ok(Err(Refusal::DiskUnknown(node, disk)));
    }
    known.state = state;
    Nodes::put(context.state, &node, &record);
    Ok(Ok(Response::Done))
}
