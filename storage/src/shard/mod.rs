//! Shard files: one column of an extent's stripes, with a checksum per block, in the clear or sealed.

mod checksum;
mod error;
mod format;
mod geometry;
mod name;
mod reader;
mod reseal;
mod sealed;
mod writer;

pub use checksum::{Checksum, checksum};
pub use error::{ShardError, ShardFault};
pub use format::{HEADER as SHARD_HEADER_BYTES, read_header};
pub use geometry::{Geometry, block_length_bytes};
pub use name::{Attempt, DiskId, ExtentIndex, InvalidId, ObjectId, ShardIndex, ShardName};
pub use reader::{Block, ShardReader};
pub use reseal::{reseal, seal_of};
pub use writer::ShardWriter;
