//! Keys of the cluster's own tokens: id → key.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::SigningKeyRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct SigningKeys;

impl Table for SigningKeys {
    const NAME: &'static str = "signing key table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 18;
    type Key = [u8; 8];
    type Value = SigningKeyRecord;
}

#[cfg(test)]
crate::table::row_tests!(SigningKeys, any::<[u8; 8]>(), any_signing_key());
