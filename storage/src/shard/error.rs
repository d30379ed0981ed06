//! Errors of shard files.

use std::io;
use std::path::PathBuf;

use crate::disk::NoSpace;

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
    },
    /// The write would have reached into the disk's reserve. Nothing of it was written.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
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

    /// Whether the disk is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace(_))
    }
}
