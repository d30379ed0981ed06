//! Shortfalls: what extents lack of their redundancy, and the order in which it is worked off.
//!
//! An extent is listed while shards of it are missing, or while it is weak: whole, but of a profile below what the
//! cluster could give.

use serde::{Deserialize, Serialize};
use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

use crate::time::Timestamp;

/// Why an extent is below its redundancy. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ShortfallReason {
    /// Written with a smaller profile while nodes were down. Nothing is missing.
    DegradedWrite,
    /// The cluster has grown and could give a better profile by now. Nothing is missing.
    Outgrown,
    /// A reader found that a shard file is not there.
    ReadMissing,
    /// A reader found that a shard's block failed its checksum.
    ReadCorrupt,
    /// A reader got an error from the disk.
    ReadFailed,
    /// A scrub found that a shard is damaged or cannot be read.
    Scrub,
    /// An inventory found that a shard file is not there.
    Inventory,
    /// The node is away, and its shards with it: they may come back.
    NodeAway,
    /// The disk failed, or is there no more.
    DiskFailed,
}

impl ShortfallReason {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::DegradedWrite,
        Self::Outgrown,
        Self::ReadMissing,
        Self::ReadCorrupt,
        Self::ReadFailed,
        Self::Scrub,
        Self::Inventory,
        Self::NodeAway,
        Self::DiskFailed,
    ];

    /// Whether it speaks of a profile, and of no shard that is missing.
    #[must_use]
    pub const fn is_weakness(self) -> bool {
        matches!(self, Self::DegradedWrite | Self::Outgrown)
    }

    /// Whether it speaks of all shards of a node or disk at once, and of none of them by itself.
    #[must_use]
    pub const fn is_of_location(self) -> bool {
        matches!(self, Self::NodeAway | Self::DiskFailed)
    }

    /// Its name in metrics and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DegradedWrite => "degraded-write",
            Self::Outgrown => "outgrown",
            Self::ReadMissing => "read-missing",
            Self::ReadCorrupt => "read-corrupt",
            Self::ReadFailed => "read-failed",
            Self::Scrub => "scrub",
            Self::Inventory => "inventory",
            Self::NodeAway => "node-away",
            Self::DiskFailed => "disk-failed",
        }
    }
}

/// A shard that cannot be counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MissingShard {
    /// The shard.
    pub shard: ShardIndex,
    /// Why. What was found in the shard itself outweighs what was said of its node or disk.
    pub cause: ShortfallReason,
}

/// An extent below its redundancy. Key: object, extent index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortfallRecord {
    /// Layout that it speaks of.
    pub attempt: Attempt,
    /// Shards that are missing or bad, by shard index.
    pub missing: Vec<MissingShard>,
    /// Set when its profile is below what the cluster could give: a degraded write, or outgrown.
    pub weak: Option<ShortfallReason>,
    /// When it was first noticed.
    pub since: Timestamp,
}

impl ShortfallRecord {
    /// The cause to name: of the first missing shard, else of its weakness.
    #[must_use]
    pub fn reason(&self) -> Option<ShortfallReason> {
        self.missing.first().map(|missing| missing.cause).or(self.weak)
    }

    /// Whether this shard is missing.
    #[must_use]
    pub fn is_missing(&self, shard: ShardIndex) -> bool {
        self.missing.binary_search_by_key(&shard, |missing| missing.shard).is_ok()
    }

    /// Shards that can still be lost before bytes are, of an extent with this parity;
    /// [`LOST`](ShortfallKey::LOST) when they are already.
    #[must_use]
    pub fn spare(&self, parity: usize) -> u8 {
        let spare = parity.checked_sub(self.missing.len());
        spare.and_then(|spare| u8::try_from(spare).ok()).unwrap_or(ShortfallKey::LOST)
    }
}

/// Place of an extent in the list of those below their redundancy, the most dangerous first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShortfallKey {
    /// Shards that can still be lost before bytes are, of the extent's own profile. [`LOST`](Self::LOST) when more are
    /// missing than the profile bears: nothing can be done until one of them returns, so these come last.
    pub spare: u8,
    /// When it was first noticed.
    pub since: Timestamp,
    /// Object.
    pub object: ObjectId,
    /// Extent.
    pub extent: ExtentIndex,
}

impl ShortfallKey {
    /// `spare` of an extent that cannot be read.
    pub const LOST: u8 = u8::MAX;
}

crate::versioned! {
    ShortfallRecord = 1, "shortfall record";
}
