//! Nodes: id → what the node is and may do. Removed nodes keep their row, so that their id is not used again.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::record::NodeRecord;
use crate::id::NodeId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Nodes;

impl Table for Nodes {
    const NAME: &'static str = "node table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 3;
    type Key = NodeId;
    type Value = NodeRecord;
}

#[cfg(test)]
crate::table::row_tests!(Nodes, node(), any_node());
