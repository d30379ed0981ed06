//! Issuers of tokens: name → how they are verified.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::IssuerRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Issuers;

impl Table for Issuers {
    const NAME: &'static str = "issuer table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 17;
    type Key = String;
    type Value = IssuerRecord;
}

#[cfg(test)]
crate::table::row_tests!(Issuers, text(), any_issuer());
