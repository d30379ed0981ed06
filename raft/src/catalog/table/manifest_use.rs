//! Edges from a blob to the manifests that use it: repository, blob, manifest.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct ManifestUses;

impl Table for ManifestUses {
    const NAME: &'static str = "manifest use table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 9;
    type Key = (RepositoryName, Digest, Digest);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(ManifestUses, (repository(), digest(), digest()), Just(()));
