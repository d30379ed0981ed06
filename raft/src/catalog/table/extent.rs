//! Extents: object, index → inline bytes or shard locations. The extents of an object are its layout.

use storage::kv::Column;
use storage::shard::{ExtentIndex, ObjectId};

use super::CONTENT;
use crate::catalog::layout::ExtentRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Extents;

impl Table for Extents {
    const NAME: &'static str = "extent table";
    const COLUMN: Column = CONTENT;
    const KIND: u8 = 13;
    type Key = (ObjectId, ExtentIndex);
    type Value = ExtentRecord;
}

#[cfg(test)]
crate::table::row_tests!(Extents, (object(), extent_index()), any_extent_record());
