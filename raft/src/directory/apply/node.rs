//! Nodes: what they say of themselves, what they may do. Names are unique among nodes that are not removed.

use super::{Context, Outcome};
use crate::directory::command::{Refusal, Response};
use crate::directory::record::{NodeInfo, NodeRecord, NodeState};
use crate::directory::table::{Cluster, NodeNames, Nodes};
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

/// Stores what a node says of itself. A joining node thereby shows that it runs.
pub(super) fn update(context: &mut Context<'_, '_>, node: NodeId, info: NodeInfo) -> Outcome {
    let Some(cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let Some(mut record) = member(context, node)? else { return Ok(Err(Refusal::NodeUnknown(node))) };
    if let Some(refusal) = refuse(context, node, &info, cluster.feature_level)? {
        return Ok(Err(refusal));
    }
    NodeNames::delete(context.state, &record.info.name);
    record.info = info;
    if record.state == NodeState::Joining {
        record.state = NodeState::Active;
    }
    store_new(context, node, &record);
    Ok(Ok(Response::Done))
}

/// Changes what a node may do. A removed node gives its name back and stays removed.
pub(super) fn set_state(context: &mut Context<'_, '_>, node: NodeId, state: NodeState) -> Outcome {
    let Some(mut record) = Nodes::get(context.state, &node)? else { return Ok(Err(Refusal::NodeUnknown(node))) };
    if record.state == NodeState::Removed {
        let repeated = state == NodeState::Removed;
        return Ok(if repeated { Ok(Response::Done) } else { Err(Refusal::NodeUnknown(node)) });
    }
    if state == NodeState::Joining && record.state != NodeState::Joining {
        return Ok(Err(Refusal::JoinedAlready(node)));
    }
    if state == NodeState::Removed {
        NodeNames::delete(context.state, &record.info.name);
    }
    record.state = state;
    Nodes::put(context.state, &node, &record);
    Ok(Ok(Response::Done))
}

fn member(context: &Context<'_, '_>, node: NodeId) -> Result<Option<NodeRecord>, ApplyError> {
    Ok(Nodes::get(context.state, &node)?.filter(|record| record.state != NodeState::Removed))
}
