//! Names of stored things: objects, extents, attempts, shards and disks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut id = [0; 16];
                hex::decode_to_slice(text, &mut id)
                    .map_err(|_| InvalidId { what: $what, text: text.chars().take(64).collect() })?;
                Ok(Self(id))
            }
        }
    };
}

/// A text that is not an id: 32 hexadecimal digits are expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what} id: 32 hexadecimal digits are expected")]
pub struct InvalidId {
    what: &'static str,
    text: String,
}

random_id! {
    /// The stored bytes of one blob. Random, 128 bits; not its digest.
    ObjectId, "object"
}

random_id! {
    /// One data directory. Random, 128 bits; written into the directory when it is first used.
    DiskId, "disk"
}

/// Position of an extent within its object, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExtentIndex(pub u32);

/// Distinguishes several writers of one extent: random per attempt, so that two gateways cannot mix their bytes and
/// a late delete never hits a re-upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt(pub u64);

/// Column of an extent's stripes: `0..k` are data shards, `k..k + m` parity shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardIndex(pub u8);

/// Names one shard file within a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardName {
    /// Object the shard belongs to.
    pub object: ObjectId,
    /// Extent of the object.
    pub extent: ExtentIndex,
    /// Attempt that wrote it.
    pub attempt: Attempt,
    /// Column within the extent.
    pub shard: ShardIndex,
}
