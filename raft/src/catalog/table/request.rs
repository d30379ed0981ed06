//! Requests that must not take effect twice, with the answer that each was given. Kept for a while.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::response::Response;
use crate::id::RequestId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Requests;

impl Table for Requests {
    const NAME: &'static str = "request table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 25;
    type Key = RequestId;
    type Value = Response;
}

#[cfg(test)]
crate::table::row_tests!(Requests, request(), any_response());
