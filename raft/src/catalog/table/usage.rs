//! Usage: prefix, empty for the root → what is in use below it. Every prefix of every repository has a row.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::usage::UsageRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Usage;

impl Table for Usage {
    const NAME: &'static str = "usage table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 36;
    type Key = String;
    type Value = UsageRecord;
}

#[cfg(test)]
crate::table::row_tests!(Usage, text(), any_usage_record());
