//! Join tokens: made by an operator, used up by one node.

use super::{Context, Outcome, node};
use crate::directory::command::{Refusal, Response};
use crate::directory::record::{JoinTokenRecord, NodeInfo, NodeRecord, NodeState};
use crate::directory::table::{Cluster, JoinTokens, Nodes, Regions};
use crate::id::NodeId;
use crate::table::{Table, inconsistent};

/// Most old tokens that are looked at when one is added.
const TOKENS_TRIMMED: usize = 64;

/// Seconds that an expired token is kept, so that whoever shows it learns that it has expired, and a repeated
/// admission gets its answer.
const TOKEN_RETENTION_SECONDS: u64 = 24 * 3600;

/// Adds a token, and forgets some that expired long ago.
pub(super) fn add(
    context: &mut Context<'_, '_>,
    token: [u8; 8],
    secret_hash: [u8; 32],
    lifetime_seconds: u64,
) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    if let Some(present) = JoinTokens::get(context.state, &token)? {
        let repeated = present.secret_hash == secret_hash;
        return Ok(if repeated { Ok(Response::Done) } else { Err(Refusal::TokenExists) });
    }
    for (id, old) in JoinTokens::scan::<()>(context.state, (), None, TOKENS_TRIMMED)? {
        if old.expires.plus_seconds(TOKEN_RETENTION_SECONDS) <= context.now {
            JoinTokens::delete(context.state, &id);
        }
    }
    let expires = context.now.plus_seconds(lifetime_seconds);
    JoinTokens::put(context.state, &token, &JoinTokenRecord { secret_hash, expires, used_by: None });
    Ok(Ok(Response::Done))
}

/// Admits a node by a token. The node gets the next id, which is never given out again. It counts as a member only once
/// it has said itself that it runs: a join that breaks off costs the others nothing.
pub(super) fn admit(
    context: &mut Context<'_, '_>,
    token: [u8; 8],
    secret_hash: [u8; 32],
    region: &str,
    info: NodeInfo,
) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let shown = JoinTokens::get(context.state, &token)?;
    let Some(mut record) = shown.filter(|record| record.secret_hash == secret_hash) else {
        return Ok(Err(Refusal::TokenUnknown));
    };
    if let Some(user) = record.used_by {
        let admitted = Nodes::require(context.state, &user)?;
        let repeated = admitted.admitted_by == context.request;
        let answer = Response::Admitted { node: user, region: admitted.region };
        return Ok(if repeated { Ok(answer) } else { Err(Refusal::TokenUsed(user)) });
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
        return Ok(Ok(Response::Admitted { node: *id, region: admitted.region }));
    }
    let regions = Regions::scan::<()>(context.state, (), None, usize::MAX)?;
    let Some((region, _)) = regions.into_iter().find(|(_, found)| found.name == region) else {
        return Ok(Err(Refusal::RegionUnknown(region.to_owned())));
    };
    let id = cluster.next_node;
    if let Some(refusal) = node::refuse(context, id, &info, cluster.feature_level)? {
        return Ok(Err(refusal));
    }
    let next = id.0.checked_add(1).ok_or_else(|| inconsistent("cluster", "no node id is left"))?;
    cluster.next_node = NodeId(next);
    record.used_by = Some(id);
    let admitted =
        NodeRecord { info, region, state: NodeState::Joining, joined: context.now, admitted_by: context.request };
    Cluster::put(context.state, (), &cluster);
    JoinTokens::put(context.state, &token, &record);
    node::store_new(context, id, &admitted);
    Ok(Ok(Response::Admitted { node: id, region }))
}
