//! Edges from a manifest to the indexes that list it: repository, child, index. The child may be missing.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct ManifestParents;

impl Table for ManifestParents {
    const NAME: &'static str = "manifest parent table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 10;
    type Key = (RepositoryName, Digest, Digest);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(ManifestParents, (repository(), digest(), digest()), Just(()));
