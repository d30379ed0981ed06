//! Prefixes of which this region is a replica and was nothing, or a former home: prefix, empty for the root. What is left there
//! was no copy. A row goes once all that the source has is here.

use storage::kv::Column;

use super::NAMES;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Leftovers;

impl Table for Leftovers {
    const NAME: &'static str = "table of leftovers";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 47;
    type Key = String;
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(Leftovers, text(), Just(()));
