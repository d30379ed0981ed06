//! Edges from a blob to the repositories that link it: blob, repository. Damage is reported by naming them.

use storage::kv::Column;

use super::BLOBS;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct BlobLinks;

impl Table for BlobLinks {
    const NAME: &'static str = "blob link table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 8;
    type Key = (Digest, RepositoryName);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(BlobLinks, (digest(), repository()), Just(()));
