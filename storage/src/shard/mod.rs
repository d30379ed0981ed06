//! Shard files: one column of an extent's stripes, with a checksum per block.

mod checksum;
mod error;
mod format;
mod geometry;
mod name;
mod reader;
mod writer;

pub use checksum::{Checksum, checksum};
pub use error::{ShardError, ShardFault};
pub use format::{HEADER as SHARD_HEADER_BYTES, read_header};
pub use geometry::{Geometry, block_length_bytes};
pub use name::{Attempt, DiskId, ExtentIndex, InvalidId, ObjectId, ShardIndex, ShardName};
pub use reader::{Block, ShardReader};
pub use writer::ShardWriter;
