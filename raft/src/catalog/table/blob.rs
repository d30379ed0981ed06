//! Blobs: digest → object, reference counts, generation.

use storage::kv::Column;

use super::BLOBS;
use crate::catalog::name::Digest;
use crate::catalog::record::BlobRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Blobs;

impl Table for Blobs {
    const NAME: &'static str = "blob table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 11;
    type Key = Digest;
    type Value = BlobRecord;
}

#[cfg(test)]
crate::table::row_tests!(Blobs, digest(), any_blob_record());
