//! Roles that are not built in: name → what they allow.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::RoleRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Roles;

impl Table for Roles {
    const NAME: &'static str = "role table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 14;
    type Key = String;
    type Value = RoleRecord;
}

#[cfg(test)]
crate::table::row_tests!(Roles, text(), any_role());
