//! The catalog: a region's group. Repositories, manifests, tags, referrers, blobs, uploads, redundancy, garbage.
//!
//! `command` says what can be asked, `apply` what it does, `table` what is kept under which key, `record` what the rows
//! hold, `layout` and `shortfall` those of bytes and what they lack, `view` how they are read, `event` what consumers learn, `limit` every constant, `audit` what must hold
//! in the whole.

mod apply;
pub mod audit;
mod command;
mod event;
mod layout;
mod limit;
mod name;
mod record;
mod shortfall;
mod table;
mod view;

#[cfg(test)]
mod tests;

pub use apply::Catalog;
pub use command::{
    Advance, Command, DiscardKey, NewExtent, PutManifest, ReplacedExtent, Response, ShardMove, Shortfall, StartUpload,
};
pub use event::{Event, EventKind};
pub use layout::{
    CodedExtent, DiscardRecord, DiskLocation, ExtentBody, ExtentRecord, PlacementKey, PlacementRecord, PlacementTotals,
    ShardLocation,
};
pub use limit::*;
pub use name::{Algorithm, Digest, InvalidName, RepositoryName, SessionId, Tag};
pub use record::*;
pub use shortfall::{MissingShard, ShortfallKey, ShortfallReason, ShortfallRecord};
pub use view::{BlobUse, Damage, ManifestNames, View};

pub use crate::table::StateError;
