//! Accounts at ACME authorities: URL of the authority's directory → account.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::certificate::AcmeAccountRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct AcmeAccounts;

impl Table for AcmeAccounts {
    const NAME: &'static str = "acme account table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x30;
    type Key = String;
    type Value = AcmeAccountRecord;
}

#[cfg(test)]
crate::table::row_tests!(AcmeAccounts, text(), any_acme_account());
