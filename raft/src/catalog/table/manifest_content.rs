//! Manifest contents: repository, digest → the exact bytes, raw.

use storage::kv::{Bytes, Column};

use super::CONTENT;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct ManifestContents;

impl Table for ManifestContents {
    const NAME: &'static str = "manifest content table";
    const COLUMN: Column = CONTENT;
    const KIND: u8 = 3;
    type Key = (RepositoryName, Digest);
    type Value = Bytes;
}

#[cfg(test)]
crate::table::row_tests!(ManifestContents, (repository(), digest()), any_bytes());
