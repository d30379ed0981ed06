//! Groups: name → what they are for.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::GroupRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Groups;

impl Table for Groups {
    const NAME: &'static str = "group table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 13;
    type Key = String;
    type Value = GroupRecord;
}

#[cfg(test)]
crate::table::row_tests!(Groups, text(), any_group());
