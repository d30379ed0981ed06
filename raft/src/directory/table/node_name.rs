//! Names of nodes that are not removed: name → id. Names are unique by it.

use storage::kv::Column;

use super::DIRECTORY;
use crate::id::NodeId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct NodeNames;

impl Table for NodeNames {
    const NAME: &'static str = "node name table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 4;
    type Key = String;
    type Value = NodeId;
}

#[cfg(test)]
crate::table::row_tests!(NodeNames, text(), node());
