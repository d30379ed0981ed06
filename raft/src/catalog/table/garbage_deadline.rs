//! Deadline of each queued garbage item, so that it can be moved or taken out without a search.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::record::GarbageItem;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct GarbageDeadlines;

impl Table for GarbageDeadlines {
    const NAME: &'static str = "garbage deadline table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 20;
    type Key = GarbageItem;
    type Value = Timestamp;
}

#[cfg(test)]
crate::table::row_tests!(GarbageDeadlines, garbage_item(), timestamp());
