//! The change feed: sequence number → event.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::event::Event;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Feed;

impl Table for Feed {
    const NAME: &'static str = "event table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 22;
    type Key = u64;
    type Value = Event;
}

#[cfg(test)]
crate::table::row_tests!(Feed, any::<u64>(), any_event());
