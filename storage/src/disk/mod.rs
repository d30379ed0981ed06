//! Disks: the file seam, and the data directories of one node.

mod data;
mod error;
mod files;
mod identity;
mod real;
mod set;
mod shards;
mod space;

pub use data::{Disk, DiskErrors};
pub use error::DiskError;
pub use files::{Entry, File, Files, Space};
pub use real::RealFiles;
pub use set::{Disks, KnownDisks};
pub use shards::ListedShard;
pub use space::{DiskSpace, NoSpace, Reserve};
