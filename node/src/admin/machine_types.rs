//! What the local socket says and takes about a machine's own disks and their scrub, as JSON.

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
