//! Contents of deleted manifests that can be restored: repository, digest → the exact bytes, raw.

use storage::kv::{Bytes, Column};

use super::CONTENT;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct TombstoneContents;

impl Table for TombstoneContents {
    const NAME: &'static str = "tombstone content table";
    const COLUMN: Column = CONTENT;
    const KIND: u8 = 30;
    type Key = (RepositoryName, Digest);
    type Value = Bytes;
}

#[cfg(test)]
crate::table::row_tests!(TombstoneContents, (repository(), digest()), any_bytes());
