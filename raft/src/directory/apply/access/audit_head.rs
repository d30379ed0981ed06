//! How far the nodes' audit logs have come. Only ever moves on: who rewrites his log cannot rewrite what he has told.

use crate::directory::access::AuditHead;
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::refusal::Refusal;
use crate::directory::table::{AuditHeads, Nodes};
use crate::id::NodeId;
use crate::table::Table;

/// Notes a node's newest record. One that is not newer than what is known is passed over.
pub(in crate::directory::apply) fn note(context: &mut Context<'_, '_>, node: NodeId, head: &AuditHead) -> Outcome {
    if !Nodes::contains(context.state, &node)? {
        return Ok(Err(Refusal::NodeUnknown(node)));
    }
    let known = AuditHeads::get(context.state, &node)?;
    if known.is_none_or(|known| known.sequence < head.sequence) {
        AuditHeads::put(context.state, &node, head);
    }
    Ok(Ok(Response::Done))
}
