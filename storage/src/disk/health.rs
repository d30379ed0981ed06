//! How a disk is, in the one word that placement, repair and people go by.

use serde::{Deserialize, Serialize};

/// How a disk is. Found by [`Disk::examine`](super::Disk::examine).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DiskHealth {
    /// It takes shards and gives them back.
    #[default]
    Healthy,
    /// No space above its reserve. What it holds is well.
    Full,
    /// Its file system is mounted read-only, as Linux does after errors. What it holds can be read.
    ReadOnly,
    /// It failed too often in too short a time: fenced. It takes no shards until it has been quiet for a while.
    Failing,
    /// It has not answered for some seconds.
    Stuck,
    /// Its directory does not hold a disk any more: not mounted, or deleted.
    Vanished,
    /// Its directory holds another disk than the node left there.
    Foreign,
}

impl DiskHealth {
    /// Every one, in order of their codes.
    pub const ALL: [Self; 7] =
        [Self::Healthy, Self::Full, Self::ReadOnly, Self::Failing, Self::Stuck, Self::Vanished, Self::Foreign];

    /// Its name in JSON, metrics and the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Failing => "failing",
            Self::Stuck => "stuck",
            Self::Vanished => "vanished",
            Self::Foreign => "foreign",
        }
    }

    /// What it means and what to do about it; empty for a healthy disk.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Healthy => "",
            Self::Full => {
                "it is full up to its reserve (storage.reserve_percent): free space or add a disk: regnode disk add"
            }
            Self::ReadOnly => {
                "its file system is read-only, most likely after errors: look at the kernel's log, then repair it and remount it, or replace the disk"
            }
            Self::Failing => {
                "it fails again and again and takes no new shards: look at the kernel's log and its cables, or replace the disk"
            }
            Self::Stuck => "it does not answer: look at the kernel's log",
            Self::Vanished => {
                "its directory holds no disk any more: mount it again, or, if it is lost for good, regnode disk remove"
            }
            Self::Foreign => {
                "its directory holds another disk: mount the right one, or empty the directory and name it to regnode disk add"
            }
        }
    }

    /// Whether new shards may be written to it.
    #[must_use]
    pub const fn takes_shards(self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// Whether what it holds should be rebuilt elsewhere unless it recovers soon.
    #[must_use]
    pub const fn is_failed(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Failing | Self::Vanished | Self::Foreign)
    }

    /// Whether its shards are there to be read.
    #[must_use]
    pub const fn holds_shards(self) -> bool {
        !matches!(self, Self::Vanished | Self::Foreign)
    }

    /// Whether small notes about it may be written to it. A full one has its reserve for that.
    #[must_use]
    pub const fn takes_notes(self) -> bool {
        matches!(self, Self::Healthy | Self::Full)
    }

    /// Its number in messages between nodes.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The one with this number. A number of a later version is [`Self::Stuck`]: such a disk takes no shards, and
    /// nothing is rebuilt on the word of it.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        Self::ALL.into_iter().find(|health| health.code() == code).unwrap_or(Self::Stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_one_to_one() {
        for (code, health) in (0..).zip(DiskHealth::ALL) {
            assert_eq!((health.code(), DiskHealth::from_code(code)), (code, health));
            assert_eq!(DiskHealth::ALL.iter().filter(|other| other.name() == health.name()).count(), 1);
            assert_eq!(health.advice().is_empty(), health == DiskHealth::Healthy);
        }
        assert_eq!(DiskHealth::from_code(99), DiskHealth::Stuck);
    }
}
