//! What a scrub says of itself: to the command line, as JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use storage::shard::ShardFault;

/// Shards that were not as they were written, by what was the matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// A block or the header is not the one that was written.
    pub corrupt: u64,
    /// The file ends too early.
    pub truncated: u64,
    /// There is no such file.
    pub missing: u64,
    /// The disk cannot read it.
    pub unreadable: u64,
    /// The disk did not answer in time: nothing is known.
    pub skipped: u64,
}

impl Findings {
    /// Shards that have to be rebuilt.
    #[must_use]
    pub const fn bad(&self) -> u64 {
        self.corrupt + self.truncated + self.missing + self.unreadable
    }

    /// Counts one.
    pub(super) const fn count(&mut self, fault: ShardFault) {
        match fault {
            ShardFault::Corrupt => self.corrupt += 1,
            ShardFault::Truncated => self.truncated += 1,
            ShardFault::Missing => self.missing += 1,
            ShardFault::Unreadable => self.unreadable += 1,
        }
    }
}

/// What the scrub of a disk does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScrubState {
    /// The last pass is over, the next one is not due.
    #[default]
    Resting,
    /// Reads, as slowly as its period allows.
    Running,
    /// Reads on command, with half of the disk's time.
    Forced,
    /// The disk is out of use, or the catalog is not available.
    Waiting,
}

/// A pass that went through to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedPass {
    /// When it began, milliseconds since the Unix epoch.
    pub started_milliseconds: u64,
    /// When it was over.
    pub finished_milliseconds: u64,
    /// Whether somebody asked for it.
    pub forced: bool,
    /// Shards read.
    pub shards: u64,
    /// Bytes of their blocks.
    pub bytes: u64,
    /// What was found.
    pub found: Findings,
}

/// What the inventories of a disk found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReport {
    /// Whole inventories since the node started.
    pub rounds: u64,
    /// Shards that the catalog places here and that are not here, found since the node started.
    pub missing: u64,
    /// Files here that the catalog does not know, and that wait for the end of their grace.
    pub orphans: u64,
    /// Orphans unlinked since the node started.
    pub orphans_removed: u64,
}

/// The scrub of one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskScrub {
    /// Id of the disk, hexadecimal.
    pub disk: String,
    /// Its directory.
    pub path: PathBuf,
    /// What goes on.
    pub state: ScrubState,
    /// When the present pass began, milliseconds since the Unix epoch; `None` between two.
    pub started_milliseconds: Option<u64>,
    /// Shards that it has read.
    pub shards_done: u64,
    /// Bytes that it has read.
    pub bytes_done: u64,
    /// Bytes that the disk should hold.
    pub bytes_total: u64,
    /// How fast it reads now.
    pub bytes_per_second: u64,
    /// Time that is left at this speed; `None` between two passes, or when it does not move.
    pub eta_seconds: Option<u64>,
    /// What it has found.
    pub found: Findings,
    /// The last one that was finished.
    pub last: Option<FinishedPass>,
    /// What the inventories found.
    pub inventory: InventoryReport,
}
