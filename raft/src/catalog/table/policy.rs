//! Policies: prefix, empty for the root → what is said there. A copy of the directory's; prefixes that say nothing have no row.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::policies::NamespaceCopy;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Policies;

impl Table for Policies {
    const NAME: &'static str = "policy table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 33;
    type Key = String;
    type Value = NamespaceCopy;
}

#[cfg(test)]
crate::table::row_tests!(Policies, text(), any_namespace_copy());
