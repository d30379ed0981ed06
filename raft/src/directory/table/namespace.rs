//! Namespaces: prefix, empty for the root → policy.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::namespace::NamespaceRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Namespaces;

impl Table for Namespaces {
    const NAME: &'static str = "namespace table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 6;
    type Key = String;
    type Value = NamespaceRecord;
}

#[cfg(test)]
crate::table::row_tests!(Namespaces, text(), any_namespace());
