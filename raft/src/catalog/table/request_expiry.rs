//! Remembered requests by the time at which they are forgotten.

use storage::kv::Column;

use super::QUEUES;
use crate::id::RequestId;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct RequestExpiries;

impl Table for RequestExpiries {
    const NAME: &'static str = "request expiry table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 26;
    type Key = (Timestamp, RequestId);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(RequestExpiries, (timestamp(), request()), Just(()));
