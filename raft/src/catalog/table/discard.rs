//! Discards: not-before time, object, extent, attempt → shard files to unlink.

use storage::kv::Column;
use storage::shard::{Attempt, ExtentIndex, ObjectId};

use super::QUEUES;
use crate::catalog::layout::DiscardRecord;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct Discards;

impl Table for Discards {
    const NAME: &'static str = "discard table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 21;
    type Key = (Timestamp, ObjectId, ExtentIndex, Attempt);
    type Value = DiscardRecord;
}

#[cfg(test)]
crate::table::row_tests!(Discards, (timestamp(), object(), extent_index(), attempt()), any_discard_record());
