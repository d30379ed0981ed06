//! Shortfalls: object, extent → what the extent lacks of its redundancy.

use storage::kv::Column;
use storage::shard::{ExtentIndex, ObjectId};

use super::BLOBS;
use crate::catalog::shortfall::ShortfallRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Shortfalls;

impl Table for Shortfalls {
    const NAME: &'static str = "shortfall table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 15;
    type Key = (ObjectId, ExtentIndex);
    type Value = ShortfallRecord;
}

#[cfg(test)]
crate::table::row_tests!(Shortfalls, (object(), extent_index()), any_shortfall_record());
