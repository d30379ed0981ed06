//! Admission of a machine by a join token, as a new node or in the place of another one.
//!
//! An admission alone takes nothing from anybody: the node that is to be replaced is emptied once the new one runs. What
//! an earlier attempt to replace the same node has left, and which never ran, makes way.

use super::{Context, Outcome, node, region};
use crate::directory::command::Response;
use crate::directory::record::{NodeInfo, NodeRecord, NodeState, RegionRecord};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Cluster, JoinTokens, NodeNames, Nodes, Regions};
use crate::id::{NodeId, RegionId};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// All nodes with their ids.
type NodeList = [(NodeId, NodeRecord)];

/// Admits a node by a token. The node gets the next id, which is never given out again. It counts as a member only once
/// it has said itself that it runs: a join that breaks off costs the others nothing.
pub(super) fn admit(
    context: &mut Context<'_, '_>,
    (token, secret_hash): ([u8; 8], [u8; 32]),
    name: &str,
    info: NodeInfo,
    replaces: Option<NodeId>,
) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let shown = JoinTokens::get(context.state, &token)?;
    let Some(mut record) = shown.filter(|record| record.secret_hash == secret_hash) else {
        return Ok(Err(Refusal::TokenUnknown));
    };
    if let Some(user) = record.used_by {
        let admitted = Nodes::require(context.state, &user)?;
        let repeated = admitted.admitted_by == context.request;
        return if repeated { Ok(Ok(again(context, user, &admitted)?)) } else { Ok(Err(Refusal::TokenUsed(user))) };
    }
    if record.expires <= context.now {
        return Ok(Err(Refusal::TokenExpired));
    }
    // A machine whose first answer was lost, and whose operator has made another token meanwhile.
    let nodes = Nodes::scan::<()>(context.state, (), None, usize::MAX)?;
    let repeated =
        |node: &&(NodeId, NodeRecord)| node.1.admitted_by == context.request && node.1.state != NodeState::Removed;
    if let Some((id, admitted)) = nodes.iter().find(repeated) {
        record.used_by = Some(*id);
        JoinTokens::put(context.state, &token, &record);
        return Ok(Ok(again(context, *id, admitted)?));
    }
    let Some((region, mut joined)) = region::named(context, name)? else {
        return Ok(Err(region::unknown(context, name)?));
    };
    let id = cluster.next_node;
    if info.feature_level < cluster.feature_level {
        return Ok(Err(Refusal::FeatureLevelTooHigh(id, cluster.feature_level)));
    }
    if let Some(refusal) = refuse_region(&nodes, &joined).or_else(|| refuse_place(&nodes, region, &info, replaces)) {
        return Ok(Err(refusal));
    }
    let founds = !nodes.iter().any(|(_, node)| node.region == region && node.state != NodeState::Removed);
    let next = id.0.checked_add(1).ok_or_else(|| inconsistent("cluster", "no node id is left"))?;
    cluster.next_node = NodeId(next);
    record.used_by = Some(id);
    make_way(context, nodes, replaces, &info.name);
    let mut admitted = NodeRecord::new(info, region, NodeState::Joining, context.now, context.request);
    admitted.replaces = replaces;
    if founds {
        joined.founder = Some(id);
        Regions::put(context.state, &region, &joined);
    }
    Cluster::put(context.state, (), &cluster);
    JoinTokens::put(context.state, &token, &record);
    node::store_new(context, id, &admitted);
    Ok(Ok(Response::Admitted { node: id, region, founds }))
}

/// The answer to an admission that took place before.
fn again(context: &Context<'_, '_>, node: NodeId, admitted: &NodeRecord) -> Result<Response, ApplyError> {
    let region = admitted.region;
    let founds = Regions::get(context.state, &region)?.is_some_and(|record| record.founder == Some(node));
    Ok(Response::Admitted { node, region, founds })
}

/// Why a region admits nobody now. Until its founder runs, nobody knows whether there will be a catalog to join: a node
/// that had come before could neither found one nor be left without.
fn refuse_region(nodes: &NodeList, region: &RegionRecord) -> Option<Refusal> {
    let founder = region.founder?;
    let is_joining = |(id, node): &(NodeId, NodeRecord)| *id == founder && node.state == NodeState::Joining;
    let joining = nodes.iter().any(is_joining);
    joining.then(|| Refusal::RegionNotFounded { region: region.name.clone(), founder })
}

/// Whether a node is an earlier attempt to replace the same one, which has never run.
fn is_superseded(node: &NodeRecord, replaces: Option<NodeId>) -> bool {
    replaces.is_some() && node.replaces == replaces && node.state == NodeState::Joining
}

/// Why a node cannot have the place that it asks for; `None` if it can.
fn refuse_place(nodes: &NodeList, region: RegionId, info: &NodeInfo, replaces: Option<NodeId>) -> Option<Refusal> {
    let present = |id: NodeId| nodes.iter().find(|(node, record)| *node == id && record.state != NodeState::Removed);
    if let Some(old) = replaces {
        let Some((_, record)) = present(old) else { return Some(Refusal::NodeUnknown(old)) };
        if record.region != region {
            return Some(Refusal::OtherRegion(old));
        }
        if let Some(successor) = record.replaced_by.filter(|successor| present(*successor).is_some()) {
            return Some(Refusal::BeingReplaced(old, successor));
        }
    }
    let in_the_way = |(id, record): &&(NodeId, NodeRecord)| {
        record.state != NodeState::Removed && Some(*id) != replaces && !is_superseded(record, replaces)
    };
    nodes.iter().filter(in_the_way).find_map(|(id, record)| {
        if record.info.name == info.name {
            Some(Refusal::NameTaken(*id, info.name.clone()))
        } else if record.info.peer_address == info.peer_address {
            Some(Refusal::AddressTaken(*id, info.peer_address.clone()))
        } else {
            None
        }
    })
}

/// Lets earlier attempts go, and the name too if it is that of the node to be replaced.
fn make_way(context: &mut Context<'_, '_>, nodes: Vec<(NodeId, NodeRecord)>, replaces: Option<NodeId>, name: &str) {
    for (id, mut record) in nodes {
        if is_superseded(&record, replaces) {
            node::remove(context, id, record);
        } else if Some(id) == replaces && record.info.name == name {
            // With its id, which no other node has, it is told apart from nodes that were replaced before.
            NodeNames::delete(context.state, &record.info.name);
            record.info.name = format!("{name}-replaced-{id}");
            node::store_new(context, id, &record);
        }
    }
}
