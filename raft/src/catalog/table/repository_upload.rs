//! Upload sessions by repository: repository, session. Those of one that leaves this region end with it.

use storage::kv::Column;

use super::BLOBS;
use crate::catalog::name::{RepositoryName, SessionId};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct RepositoryUploads;

impl Table for RepositoryUploads {
    const NAME: &'static str = "repository upload table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 45;
    type Key = (RepositoryName, SessionId);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(RepositoryUploads, (repository(), session()), Just(()));
