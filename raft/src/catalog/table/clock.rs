//! The catalog's clock and counters. One row.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::record::ClockRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct CatalogClock;

impl Table for CatalogClock {
    const NAME: &'static str = "clock table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 24;
    type Key = ();
    type Value = ClockRecord;
}

#[cfg(test)]
crate::table::row_tests!(CatalogClock, Just(()), any_clock_record());
