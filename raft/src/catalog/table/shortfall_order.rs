//! Shortfalls in order of danger: spare shards left, since when, object, extent. See [`ShortfallKey`](crate::catalog::ShortfallKey).

use storage::kv::Column;
use storage::shard::{ExtentIndex, ObjectId};

use super::QUEUES;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct ShortfallOrder;

impl Table for ShortfallOrder {
    const NAME: &'static str = "shortfall order table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 16;
    type Key = (u8, Timestamp, ObjectId, ExtentIndex);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(ShortfallOrder, (any::<u8>(), timestamp(), object(), extent_index()), Just(()));
