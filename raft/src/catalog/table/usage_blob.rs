//! How many repositories below a prefix count a blob: blob, prefix. The repository of that very name is not among them:
//! its own link says whether it counts the blob.

use storage::kv::Column;

use super::BLOBS;
use crate::catalog::name::Digest;
use crate::catalog::usage::UsageBlobRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct UsageBlobs;

impl Table for UsageBlobs {
    const NAME: &'static str = "usage blob table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 37;
    type Key = (Digest, String);
    type Value = UsageBlobRecord;
}

#[cfg(test)]
crate::table::row_tests!(UsageBlobs, (digest(), text()), any_usage_blob_record());
