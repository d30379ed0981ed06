//! Runs of retention by the time at which they are due: time, prefix.

use storage::kv::Column;

use super::QUEUES;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct RetentionDues;

impl Table for RetentionDues {
    const NAME: &'static str = "retention due table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 42;
    type Key = (Timestamp, String);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(RetentionDues, (timestamp(), text()), Just(()));
