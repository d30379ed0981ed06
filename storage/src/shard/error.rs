//! Errors of shard files.

use std::io;
use std::path::PathBuf;

use crate::disk::{DiskHealth, NoSpace};
use crate::seal::UnknownKey;

/// What is the matter with a shard's bytes, as the scrub counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShardFault {
    /// There is no such file.
    Missing,
    /// The file ends before its last block does.
    Truncated,
    /// A block, or the header, is not the one that was written.
    Corrupt,
    /// The operating system cannot read it, or its key is not there.
    Unreadable,
}

impl ShardFault {
    /// Its name in metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Why a shard could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// There is no such file. Other disks have the data.
    #[error("shard {path:?} is missing")]
    Missing {
        /// File of the shard.
        path: PathBuf,
    },
    /// What was read is not what was written. Other disks have the data; reading again will not help.
    #[error("shard {path:?} is corrupt{}: {reason}", block.map(|block| format!(" at block {block}")).unwrap_or_default())]
    Corrupt {
        /// File of the shard.
        path: PathBuf,
        /// Block that is bad; `None` for the header.
        block: Option<u64>,
        /// How it shows.
        reason: &'static str,
        /// Whether the file ends too early.
        truncated: bool,
    },
    /// It is encrypted with a key that this node does not have. Other disks have the data.
    #[error("shard {path:?} {unknown}")]
    Sealed {
        /// File of the shard.
        path: PathBuf,
        /// The key.
        unknown: UnknownKey,
    },
    /// The write would have reached into the disk's reserve. Nothing of it was written.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// The disk is out of use. Nothing was written.
    #[error("shard {path:?}: the disk takes no shards ({}): {}", health.name(), health.advice())]
    Unfit {
        /// File of the shard.
        path: PathBuf,
        /// What is the matter with the disk.
        health: DiskHealth,
    },
    /// The caller broke the rules of a shard's shape. Nothing was read or written.
    #[error("shard {path:?}: {rule}")]
    Misuse {
        /// File of the shard.
        path: PathBuf,
        /// What has to hold.
        rule: &'static str,
    },
    /// The operating system failed. A write may have had an effect on the file, which nobody else knows yet.
    #[error("shard {path:?}: cannot {action}")]
    Io {
        /// File of the shard.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl ShardError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether the bytes on the disk are bad.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// What is the matter with the shard; `None` when the error says nothing about it.
    #[must_use]
    pub fn fault(&self) -> Option<ShardFault> {
        match self {
            Self::Missing { .. } => Some(ShardFault::Missing),
            Self::Corrupt { truncated: true, .. } => Some(ShardFault::Truncated),
            Self::Corrupt { truncated: false, .. } => Some(ShardFault::Corrupt),
            Self::Io { .. } | Self::Sealed { .. } => Some(ShardFault::Unreadable),
            Self::NoSpace(_) | Self::Unfit { .. } | Self::Misuse { .. } => None,
        }
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace(_))
    }
}
