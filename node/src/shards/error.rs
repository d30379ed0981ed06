//! Why a shard could not be written, read or removed.

use std::fmt;

use raft::catalog::DiskLocation;
use storage::shard::ShardName;

/// One shard and where it rests or should rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Node and disk.
    pub location: DiskLocation,
    /// The shard.
    pub name: ShardName,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { location, name } = self;
        write!(
            formatter,
            "shard {} of object {} extent {} on node {} disk {}",
            name.shard.0, name.object, name.extent.0, location.node, location.disk
        )
    }
}

/// Why an operation on a shard failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The node answers, but has no such shard file or no such disk.
    #[error("{place}: missing: {message}")]
    Missing {
        /// The shard.
        place: Place,
        /// What is missing.
        message: String,
    },
    /// Bytes failed their checksum, or the file is damaged. Already counted and logged.
    #[error("{place}: corrupt: {message}")]
    Corrupt {
        /// The shard.
        place: Place,
        /// What does not match.
        message: String,
    },
    /// The disk is full up to its reserve.
    #[error("{place}: no space: {message}")]
    NoSpace {
        /// The shard.
        place: Place,
        /// How full the disk is.
        message: String,
    },
    /// The node could not be reached. A write or removal may have had its effect.
    #[error("{place}: unreachable: {message}")]
    Unreachable {
        /// The shard.
        place: Place,
        /// What went wrong.
        message: String,
    },
    /// The node or its disk did not answer in time, which says nothing of what else they do. A write or removal may
    /// have had its effect.
    #[error("{place}: no answer in time: {message}")]
    TimedOut {
        /// The shard.
        place: Place,
        /// What was waited for.
        message: String,
    },
    /// The node has too much to do and took nothing: the same may be tried again soon. Its disk is not at fault.
    #[error("{place}: busy: {message}")]
    Busy {
        /// The shard.
        place: Place,
        /// What there is too much of.
        message: String,
    },
    /// The disk failed, the node refused, or the call was not valid. A write or removal may have had its effect.
    #[error("{place}: {message}")]
    Io {
        /// The shard.
        place: Place,
        /// What went wrong.
        message: String,
    },
}

impl ShardError {
    /// The shard it concerns; the first one of a removal of several.
    #[must_use]
    pub const fn place(&self) -> &Place {
        match self {
            Self::Missing { place, .. }
            | Self::Corrupt { place, .. }
            | Self::NoSpace { place, .. }
            | Self::Unreachable { place, .. }
            | Self::TimedOut { place, .. }
            | Self::Busy { place, .. }
            | Self::Io { place, .. } => place,
        }
    }

    /// Whether the shard file is not there.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether the shard file is damaged.
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether the disk is full.
    #[must_use]
    pub const fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// Whether the node has too much to do.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether the node could not be reached.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
