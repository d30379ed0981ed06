//! Disks: the file seam, and the data directories of one node.
//!
//! Shards are sealed under the node's keys. What a disk keeps about itself, its identity, its owner and notes, is in the
//! clear: it has no content, and must be read before there are keys.

mod data;
mod error;
mod examine;
mod fence;
mod files;
mod health;
mod identity;
mod layer;
mod notes;
mod owner;
mod real;
mod room;
mod set;
mod shards;
mod space;
mod survey;

pub use data::{Disk, DiskErrors};
pub use error::DiskError;
pub use examine::Examination;
pub(crate) use examine::is_full;
pub use files::{Access, Entry, File, Files, Space};
pub use health::DiskHealth;
pub use layer::Layer;
pub use owner::DiskOwner;
pub use real::RealFiles;
pub use room::NoRoom;
pub(crate) use room::room_for;
pub use set::{AbsentDisk, Disks, KnownDisks};
pub use shards::ListedShard;
pub use space::{DiskSpace, NoSpace, Reserve};
pub use survey::{Survey, SurveyedFile};
