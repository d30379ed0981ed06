//! The directory's clock. One row.

use storage::kv::Column;

use super::DIRECTORY;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct DirectoryClock;

impl Table for DirectoryClock {
    const NAME: &'static str = "clock table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 7;
    type Key = ();
    type Value = Timestamp;
}

#[cfg(test)]
crate::table::row_tests!(DirectoryClock, Just(()), timestamp());
