//! Placement totals: node, disk → what the disk should hold in all, for drains, rebalancing and forecasts.

use storage::kv::Column;
use storage::shard::DiskId;

use super::BLOBS;
use crate::catalog::layout;
use crate::id::NodeId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct PlacementTotals;

impl Table for PlacementTotals {
    const NAME: &'static str = "placement totals table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 27;
    type Key = (NodeId, DiskId);
    type Value = layout::PlacementTotals;
}

#[cfg(test)]
crate::table::row_tests!(PlacementTotals, (node(), disk()), any_placement_totals());
