//! Manifests: repository, digest → what the manifest is and uses. Its bytes are in a table of their own.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::ManifestRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Manifests;

impl Table for Manifests {
    const NAME: &'static str = "manifest table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 2;
    type Key = (RepositoryName, Digest);
    type Value = ManifestRecord;
}

#[cfg(test)]
crate::table::row_tests!(Manifests, (repository(), digest()), any_manifest_record());
