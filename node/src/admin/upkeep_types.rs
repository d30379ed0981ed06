//! What the local socket says and takes about a node's own disks, their scrub, and what is damaged, as JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::scrub::DiskScrub;
use crate::shards::DiskReport;

/// Asks for a directory to be taken into use as a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddDiskRequest {
    /// The directory.
    pub path: PathBuf,
}

/// The disks of the node that answers, as it sees them itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDisksAnswer {
    /// Version of this form.
    pub version: u32,
    /// The disks.
    pub disks: Vec<DiskReport>,
}

/// Asks for a scrub at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubRequest {
    /// Id of the disk, or the beginning of it; all disks of the node if it is left out.
    pub disk: Option<String>,
}

/// The scrub of the disks of the node that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubAnswer {
    /// Version of this form.
    pub version: u32,
    /// The node.
    pub node: u64,
    /// Its disks.
    pub disks: Vec<DiskScrub>,
}

/// Asks for a page of what is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageRequest {
    /// Where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of what cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageAnswer {
    /// Version of this form.
    pub version: u32,
    /// Extents that cannot be read, the oldest first.
    pub damaged: Vec<DamagedExtent>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// An extent that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedExtent {
    /// Object.
    pub object: String,
    /// Index of the extent in the object.
    pub extent: u32,
    /// Digest of the blob that it belongs to; none while it is being uploaded.
    pub digest: Option<String>,
    /// Why, each cause once.
    pub causes: Vec<String>,
    /// When it was first noticed, milliseconds since the Unix epoch.
    pub since_milliseconds: u64,
    /// What uses the blob.
    pub uses: Vec<DamagedUse>,
    /// Whether more uses it than is named.
    pub more: bool,
}

/// What cannot be pulled because of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DamagedUse {
    /// Repository.
    pub repository: String,
    /// Digest of its manifest that needs the blob; none if the repository only links the blob.
    pub manifest: Option<String>,
    /// Tags of it, and of the indexes that list it.
    pub tags: Vec<String>,
    /// Digests of indexes that list it.
    pub indexes: Vec<String>,
    /// Whether there are more names.
    pub more: bool,
}
