//! Shard files: one column of an extent's stripes, with a checksum per block.

mod geometry;
mod name;

pub use geometry::{Geometry, block_length_bytes};
pub use name::{Attempt, DiskId, ExtentIndex, InvalidId, ObjectId, ShardIndex, ShardName};
