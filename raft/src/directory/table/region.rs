//! Regions: id → name.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::record::RegionRecord;
use crate::id::RegionId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Regions;

impl Table for Regions {
    const NAME: &'static str = "region table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 2;
    type Key = RegionId;
    type Value = RegionRecord;
}

#[cfg(test)]
crate::table::row_tests!(Regions, region(), any_region());
