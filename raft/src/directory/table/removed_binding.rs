//! Requests whose binding was removed: when they are forgotten, the request. Until then a repetition of one brings nothing
//! back.

use storage::kv::Column;

use super::DIRECTORY;
use crate::id::RequestId;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct RemovedBindings;

impl Table for RemovedBindings {
    const NAME: &'static str = "removed binding table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x37;
    type Key = (Timestamp, RequestId);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(RemovedBindings, (timestamp(), request()), Just(()));
