//! The write path: frames of a body → batches → stripes → shards, in one pass with bounded memory.
//!
//! `gather` makes batches of frames, `stripes` cuts and codes them, `extent` writes one extent to its holders,
//! `object` writes a run of extents and survives the loss of holders, `rewrite` writes an extent anew, `relocate`
//! brings single shards of it elsewhere, `pace` bounds how fast, `heal` writes anew before an acknowledgement,
//! `task` ties them together for one request, `commit` ends it, `leftovers` removes what was given up.
//!
//! Holds: nothing is acknowledged before every shard of it is synced, and whole on live nodes; a request that breaks
//! off leaves nothing behind; memory per upload is a few batches, and the node's budget bounds their sum.

mod commit;
mod extent;
mod gather;
mod heal;
mod leftovers;
mod object;
mod pace;
mod relocate;
mod rewrite;
mod stripes;
mod task;

use raft::catalog::{CodedExtent, Shortfall, ShortfallReason};
use storage::shard::{DiskId, ExtentIndex, ObjectId};

use super::catalog::CatalogError;
use super::error::{ReadError, UploadError};
use super::placement::PlacementError;
use crate::shards::ShardError;

pub(crate) use extent::Avoided;
pub(crate) use leftovers::{discard_shards, discard_shards_unless_current};
pub(crate) use pace::{Pace, Stint};
pub(crate) use relocate::{How, Transfer, relocate};
pub(crate) use rewrite::rewrite;
pub(super) use task::{Outcome, Purpose, UploadTask};

/// An extent whose shards are synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its index.
    pub(crate) index: ExtentIndex,
    /// Its shards.
    pub(crate) coded: CodedExtent,
    /// Whether its profile is below what the whole cluster would give.
    pub(crate) degraded: bool,
    /// Disks whose shards were lost while it was written.
    pub(crate) lost: Vec<DiskId>,
    /// Those of them that are at fault themselves: their nodes did not just have too much to do.
    pub(crate) failed: Vec<DiskId>,
}

impl Written {
    /// What is reported of it to the catalog.
    pub(crate) fn shortfall(&self) -> Option<Shortfall> {
        self.degraded.then(|| Shortfall { missing: Vec::new(), reason: ShortfallReason::DegradedWrite })
    }
}

/// Why extents could not be written. What was written so far is to be discarded by the caller.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// There is no safe place.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// More shards were lost at once than the profile bears.
    #[error("object {object} extent {extent}: more shards were lost at once than {profile} bears{}", because(failure.as_ref()))]
    Lost {
        /// The object.
        object: ObjectId,
        /// The extent.
        extent: u32,
        /// Its profile.
        profile: storage::codec::Profile,
        /// One of the failures, unless holders died.
        failure: Option<ShardError>,
    },
    /// Holders keep failing although they count as live.
    #[error("object {object} extent {extent}: shards cannot be written: {failure}")]
    Holders {
        /// The object.
        object: ObjectId,
        /// The extent.
        extent: u32,
        /// The last failure.
        failure: ShardError,
    },
    /// An earlier extent could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The catalog could not be asked.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A defect.
    #[error("{message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

fn because(failure: Option<&ShardError>) -> String {
    failure.map_or_else(String::new, |failure| format!(": {failure}"))
}

impl WriteError {
    #[expect(clippy::needless_pass_by_value, reason = "made to be passed to map_err")]
    fn internal(message: impl ToString) -> Self {
        Self::Internal { message: message.to_string() }
    }
}

impl From<WriteError> for UploadError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Placement(error) => error.into(),
            WriteError::Lost { failure: Some(ShardError::NoSpace { .. }), .. }
            | WriteError::Holders { failure: ShardError::NoSpace { .. }, .. } => Self::NoSpace(error.to_string()),
            WriteError::Lost { .. } | WriteError::Holders { .. } => Self::unavailable(error),
            WriteError::Read(error) => error.into(),
            WriteError::Catalog(error) => error.into(),
            WriteError::Internal { message } => Self::Internal { message },
        }
    }
}
