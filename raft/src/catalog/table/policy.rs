//! Policies: prefix, empty for the root → what is set there. A copy of the directory's; prefixes that set nothing have no row.

use storage::kv::Column;

use super::NAMES;
use crate::policy::NamespacePolicy;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Policies;

impl Table for Policies {
    const NAME: &'static str = "policy table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 33;
    type Key = String;
    type Value = NamespacePolicy;
}

#[cfg(test)]
crate::table::row_tests!(Policies, text(), any_policy());
