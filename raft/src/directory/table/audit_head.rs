//! How far the nodes' audit logs had come: node → newest record.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::AuditHead;
use crate::id::NodeId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct AuditHeads;

impl Table for AuditHeads {
    const NAME: &'static str = "audit head table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 19;
    type Key = NodeId;
    type Value = AuditHead;
}

#[cfg(test)]
crate::table::row_tests!(AuditHeads, node(), any_audit_head());
