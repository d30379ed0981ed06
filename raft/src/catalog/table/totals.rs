//! Totals of the catalog. One row.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::record::TotalsRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Totals;

impl Table for Totals {
    const NAME: &'static str = "totals table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 23;
    type Key = ();
    type Value = TotalsRecord;
}

#[cfg(test)]
crate::table::row_tests!(Totals, Just(()), any_totals_record());
