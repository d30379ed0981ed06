//! Errors of taking data directories into use. Each names the directory and the way out.

use std::io;
use std::path::PathBuf;

use super::DiskOwner;
use crate::shard::DiskId;

/// Why data directories cannot be used. Nothing of theirs was changed, unless it is [`DiskError::Io`] while an empty
/// one was formatted; formatting it again is harmless.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The directory holds something, but it was never formatted as a disk.
    #[error(
        "directory {path:?} is not empty (it holds {entry:?}) and is not a regnode disk; name an empty directory, or \
         move away what is in it"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One thing that it holds.
        entry: String,
    },
    /// The directory has shards, but its identity file is missing or unreadable.
    #[error(
        "disk {path:?} is damaged: {detail}; restore its file \"identity\", or empty the directory to start it as a \
         new disk, and what it held is rebuilt from the other disks"
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The directory held a disk when the node last ran, and there is none now: not mounted, most likely.
    #[error(
        "disk {path:?} is not there: the directory held disk {expected}, and holds none now; mount it, or, if the disk \
         is lost for good, take its entry out of {list:?}, and an empty directory is started as a new disk"
    )]
    Gone {
        /// The directory.
        path: PathBuf,
        /// The disk that it held.
        expected: DiskId,
        /// File in which the node keeps the disks that it knows.
        list: PathBuf,
    },
    /// The disk was formatted by another version of the program.
    #[error("disk {path:?} has format version {found}, this program reads version {known}; start a newer program")]
    Version {
        /// The directory.
        path: PathBuf,
        /// Version of the disk.
        found: u32,
        /// Version of this program.
        known: u32,
    },
    /// The disk is another node's.
    #[error(
        "disk {path:?} ({disk}) belongs to node {} of cluster {}, not to node {} of cluster {}: mount it there again, or \
         empty the directory to start it as a new disk",
        owner.node, hex::encode(owner.cluster), own.node, hex::encode(own.cluster)
    )]
    Elsewhere {
        /// The directory.
        path: PathBuf,
        /// Its disk.
        disk: DiskId,
        /// Whose it is.
        owner: DiskOwner,
        /// Who asked for it.
        own: DiskOwner,
    },
    /// The disk was removed from this node before.
    #[error(
        "disk {path:?} ({disk}) was removed from this node, and what it holds has been written elsewhere: empty the \
         directory to start it as a new disk"
    )]
    Retired {
        /// The directory.
        path: PathBuf,
        /// Its disk.
        disk: DiskId,
    },
    /// Two directories carry one id: one is a copy of the other.
    #[error(
        "disks {first:?} and {second:?} have the same id {id}: one is a copy; take the copy out of the configuration"
    )]
    Duplicate {
        /// The directory named first.
        first: PathBuf,
        /// The directory named later.
        second: PathBuf,
        /// Their id.
        id: DiskId,
    },
    /// Someone holds the lock of the directory.
    #[error(
        "disk {path:?} is in use: stop the other regnode process that uses it, or name it only once in the \
         configuration"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// No directory was named.
    #[error("no data directory is named; name at least one")]
    None,
    /// The operating system refused.
    #[error("disk {path:?}: cannot {action}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}
