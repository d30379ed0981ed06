//! Objects: id → length, number of extents, purpose.

use storage::kv::Column;
use storage::shard::ObjectId;

use super::BLOBS;
use crate::catalog::record::ObjectRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Objects;

impl Table for Objects {
    const NAME: &'static str = "object table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 12;
    type Key = ObjectId;
    type Value = ObjectRecord;
}

#[cfg(test)]
crate::table::row_tests!(Objects, object(), any_object_record());
