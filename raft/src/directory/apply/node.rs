//! Nodes: what they say of themselves, what they may do. Names are unique among nodes that are not removed.

use super::{Context, Outcome, region};
use crate::directory::command::Response;
use crate::directory::record::{DrainRecord, NodeInfo, NodeRecord, NodeState};
use crate::directory::refusal::Refusal;
use crate::directory::table::{AuthorityStandings, Cluster, NodeNames, Nodes};
use crate::id::NodeId;
use crate::machine::ApplyError;
use crate::table::Table;

/// Stores a node whose name was found free.
pub(super) fn store_new(context: &mut Context<'_, '_>, node: NodeId, record: &NodeRecord) {
    NodeNames::put(context.state, &record.info.name, &node);
    Nodes::put(context.state, &node, record);
}

/// Why a node cannot be what it says; `None` if it can.
pub(super) fn refuse(
    context: &Context<'_, '_>,
    node: NodeId,
    info: &NodeInfo,
    feature_level: u32,
) -> Result<Option<Refusal>, ApplyError> {
    if info.feature_level < feature_level {
        return Ok(Some(Refusal::FeatureLevelTooHigh(node, feature_level)));
    }
    Ok(match NodeNames::get(context.state, &info.name)? {
        Some(other) if other != node => Some(Refusal::NameTaken(other, info.name.clone())),
        _ => None,
    })
}

/// Stores what a node says of itself. A joining node thereby shows that it runs, and the one whose place it takes is
/// emptied from then on.
pub(super) fn update(context: &mut Context<'_, '_>, node: NodeId, info: NodeInfo) -> Outcome {
    let Some(cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let Some(mut record) = member(context, node)? else { return Ok(Err(Refusal::NodeUnknown(node))) };
    if let Some(refusal) = refuse(context, node, &info, cluster.feature_level)? {
        return Ok(Err(refusal));
    }
    NodeNames::delete(context.state, &record.info.name);
    record.info = info;
    record.take_over_disks();
    let runs_now = record.state == NodeState::Joining;
    if runs_now {
        record.state = NodeState::Active;
    }
    store_new(context, node, &record);
    if let Some(old) = record.replaces.filter(|_| runs_now) {
        replace(context, old, node)?;
    }
    Ok(Ok(Response::Done))
}

/// Lets `successor`, which runs, take the place of `old`. Whoever came first stays the successor.
fn replace(context: &mut Context<'_, '_>, old: NodeId, successor: NodeId) -> Result<(), ApplyError> {
    let Some(mut record) = member(context, old)? else { return Ok(()) };
    if let Some(other) = record.replaced_by
        && member(context, other)?.is_some()
    {
        return Ok(());
    }
    if record.state == NodeState::Joining {
        // It never ran, so there is nothing to take from it.
        remove(context, old, record);
        return Ok(());
    }
    record.replaced_by = Some(successor);
    begin_drain(context, &mut record, (0, 0), true);
    Nodes::put(context.state, &old, &record);
    Ok(())
}

/// Begins to empty a node, or lets one that is being emptied leave as well.
pub(super) fn drain(context: &mut Context<'_, '_>, node: NodeId, (shards, bytes): (u64, u64), leave: bool) -> Outcome {
    let Some(mut record) = member(context, node)? else { return Ok(Err(Refusal::NodeUnknown(node))) };
    if record.state == NodeState::Joining {
        // It holds nothing: there is nothing to wait for.
        remove(context, node, record);
        return Ok(Ok(Response::Done));
    }
    if let Some(refusal) = refuse_loss(context, node, &record)? {
        return Ok(Err(refusal));
    }
    begin_drain(context, &mut record, (shards, bytes), leave);
    Nodes::put(context.state, &node, &record);
    Ok(Ok(Response::Done))
}

fn begin_drain(context: &Context<'_, '_>, record: &mut NodeRecord, (shards, bytes): (u64, u64), leave: bool) {
    record.state = NodeState::Draining;
    let begun = record.drain.get_or_insert(DrainRecord { since: context.now, shards, bytes, leave });
    begun.leave |= leave;
}

/// Changes what a node may do. A removed node gives its name back and stays removed.
pub(super) fn set_state(context: &mut Context<'_, '_>, node: NodeId, state: NodeState) -> Outcome {
    let Some(mut record) = Nodes::get(context.state, &node)? else { return Ok(Err(Refusal::NodeUnknown(node))) };
    if record.state == NodeState::Removed {
        let repeated = state == NodeState::Removed;
        return Ok(if repeated { Ok(Response::Done) } else { Err(Refusal::NodeUnknown(node)) });
    }
    match state {
        NodeState::Joining if record.state != NodeState::Joining => return Ok(Err(Refusal::JoinedAlready(node))),
        NodeState::Joining => {}
        NodeState::Active => {
            if let Some(successor) = record.replaced_by
                && member(context, successor)?.is_some()
            {
                return Ok(Err(Refusal::BeingReplaced(node, successor)));
            }
            record.state = state;
            record.drain = None;
            record.replaced_by = None;
            Nodes::put(context.state, &node, &record);
        }
        NodeState::Draining => return drain(context, node, (0, 0), false),
        NodeState::Removed => {
            if let Some(refusal) = refuse_loss(context, node, &record)? {
                return Ok(Err(refusal));
            }
            remove(context, node, record);
        }
    }
    Ok(Ok(Response::Done))
}

/// Removes a node for ever. Its name is free again.
pub(super) fn remove(context: &mut Context<'_, '_>, node: NodeId, mut record: NodeRecord) {
    NodeNames::delete(context.state, &record.info.name);
    record.state = NodeState::Removed;
    record.drain = None;
    Nodes::put(context.state, &node, &record);
    AuthorityStandings::delete(context.state, &node);
}

/// Why a region cannot do without a node: it is the last active one, and the region is not given up.
fn refuse_loss(context: &Context<'_, '_>, node: NodeId, record: &NodeRecord) -> Result<Option<Refusal>, ApplyError> {
    if !is_last(context, node, record)? {
        return Ok(None);
    }
    if Cluster::require(context.state, ())?.primary == record.region {
        return Ok(Some(Refusal::LastNode(node)));
    }
    Ok(region::naming(context, record.region)?.map(|namespace| Refusal::LastNodeOf { node, namespace }))
}

/// Whether a region has no other active node than this one.
fn is_last(context: &Context<'_, '_>, node: NodeId, record: &NodeRecord) -> Result<bool, ApplyError> {
    if record.state == NodeState::Joining {
        return Ok(false);
    }
    let nodes = Nodes::scan::<()>(context.state, (), None, usize::MAX)?;
    let stays = |(id, other): &(NodeId, NodeRecord)| {
        *id != node && other.region == record.region && other.state == NodeState::Active
    };
    Ok(!nodes.iter().any(stays))
}

/// A node that was not removed.
pub(super) fn member(context: &Context<'_, '_>, node: NodeId) -> Result<Option<NodeRecord>, ApplyError> {
    Ok(Nodes::get(context.state, &node)?.filter(|record| record.state != NodeState::Removed))
}
