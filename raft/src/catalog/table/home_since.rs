//! Prefixes that had another home: prefix, empty for the root → when this region became the home. What clients pulled elsewhere
//! before then is not known here. A row stays while this region is the home, whoever says so: also when the namespace itself is
//! said nothing of any more.

use storage::kv::Column;

use super::NAMES;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct HomesSince;

impl Table for HomesSince {
    const NAME: &'static str = "table of homes since";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 46;
    type Key = String;
    type Value = Timestamp;
}

#[cfg(test)]
crate::table::row_tests!(HomesSince, text(), timestamp());
