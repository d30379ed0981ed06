//! Upload sessions by the time at which they expire.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::name::SessionId;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct UploadExpiries;

impl Table for UploadExpiries {
    const NAME: &'static str = "upload expiry table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 18;
    type Key = (Timestamp, SessionId);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(UploadExpiries, (timestamp(), session()), Just(()));
