//! Manifests that nothing holds: repository, digest → since when and why.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::garbage::UnheldRecord;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct UnheldManifests;

impl Table for UnheldManifests {
    const NAME: &'static str = "unheld manifest table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 28;
    type Key = (RepositoryName, Digest);
    type Value = UnheldRecord;
}

#[cfg(test)]
crate::table::row_tests!(UnheldManifests, (repository(), digest()), any_unheld_record());
