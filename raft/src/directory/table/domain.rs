//! Domains: name → the namespace that it stands for.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::domain::DomainRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Domains;

impl Table for Domains {
    const NAME: &'static str = "domain table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x34;
    type Key = String;
    type Value = DomainRecord;
}

#[cfg(test)]
crate::table::row_tests!(Domains, text(), any_domain());
