//! The catalog: a region's group. Repositories, manifests, tags, referrers, blobs, uploads, redundancy, garbage.

mod command;
mod event;
mod name;
mod record;

pub use command::{
    Advance, Command, DiscardKey, NewExtent, PutManifest, ReplacedExtent, Response, Shortfall, StartUpload,
};
pub use event::{Event, EventKind};
pub use name::{Algorithm, Digest, InvalidName, RepositoryName, SessionId, Tag};
pub use record::*;
