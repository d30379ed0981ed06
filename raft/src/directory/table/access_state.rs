//! What is counted of who may do what. One row.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::AccessStateRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct AccessState;

impl Table for AccessState {
    const NAME: &'static str = "access state table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 10;
    type Key = ();
    type Value = AccessStateRecord;
}

#[cfg(test)]
crate::table::row_tests!(AccessState, Just(()), any_access_state());
