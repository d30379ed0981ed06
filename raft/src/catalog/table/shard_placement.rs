//! Shard placements: node, disk, object, extent, shard → attempt. What a disk should hold, for inventories and drains.

use storage::kv::Column;
use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardIndex};

use super::BLOBS;
use crate::catalog::layout::PlacementRecord;
use crate::id::NodeId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct ShardPlacements;

impl Table for ShardPlacements {
    const NAME: &'static str = "shard placement table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 14;
    type Key = (NodeId, DiskId, ObjectId, ExtentIndex, ShardIndex);
    type Value = PlacementRecord;
}

#[cfg(test)]
crate::table::row_tests!(
    ShardPlacements,
    (node(), disk(), object(), extent_index(), shard_index()),
    any_placement_record()
);
