//! Requests that made a binding which holds, or did so a while ago → its id.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::BindingId;
use crate::id::RequestId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct BindingRequests;

impl Table for BindingRequests {
    const NAME: &'static str = "binding request table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 16;
    type Key = RequestId;
    type Value = BindingId;
}

#[cfg(test)]
crate::table::row_tests!(BindingRequests, request(), binding_id());
