//! Prefixes that set rules of retention: prefix → when it ran and when it runs next.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::job::RetentionRunRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct RetentionRuns;

impl Table for RetentionRuns {
    const NAME: &'static str = "retention run table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 41;
    type Key = String;
    type Value = RetentionRunRecord;
}

#[cfg(test)]
crate::table::row_tests!(RetentionRuns, text(), any_retention_run());
