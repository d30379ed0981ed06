//! Deleted manifests that can be restored: repository, digest → what they were.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::history::TombstoneRecord;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Tombstones;

impl Table for Tombstones {
    const NAME: &'static str = "tombstone table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 29;
    type Key = (RepositoryName, Digest);
    type Value = TombstoneRecord;
}

#[cfg(test)]
crate::table::row_tests!(Tombstones, (repository(), digest()), any_tombstone_record());
