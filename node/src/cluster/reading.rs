//! How sure it is what this node's replica of the directory says: confirmed by a quorum, or as old as its clock.
//!
//! The directory's leader moves its clock on at least every twenty seconds, so a replica that nobody confirms is as it was
//! at the time that its clock shows, give or take that.

use std::time::Duration;

use raft::time::Timestamp;
use tokio::time::timeout;

use crate::deletion::DirectoryRecords;

/// A look at the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whether a quorum has confirmed that the replica shows everything that was acknowledged before.
    pub confirmed: bool,
    /// Moment that the replica shows, milliseconds since the Unix epoch; 0 for one that is empty.
    pub as_of_milliseconds: u64,
}

/// Asks the directory's quorum to confirm this node's replica, for so long. The replica is to be read afterwards.
pub(crate) async fn confirm_directory(directory: &dyn DirectoryRecords, within: Duration) -> Reading {
    let confirmed = matches!(timeout(within, directory.barrier()).await, Ok(Ok(())));
    // A replica that cannot be read is reported as such by whoever reads it.
    let Timestamp(as_of_milliseconds) = directory.view().clock().unwrap_or_default();
    Reading { confirmed, as_of_milliseconds }
}
