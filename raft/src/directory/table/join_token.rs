//! One-time join tokens: id → hash of the secret, expiry, use.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::record::JoinTokenRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct JoinTokens;

impl Table for JoinTokens {
    const NAME: &'static str = "join token table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 5;
    type Key = [u8; 8];
    type Value = JoinTokenRecord;
}

#[cfg(test)]
crate::table::row_tests!(JoinTokens, any::<[u8; 8]>(), any_join_token());
