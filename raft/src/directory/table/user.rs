//! People: name → what is known of them.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::UserRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Users;

impl Table for Users {
    const NAME: &'static str = "user table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 11;
    type Key = String;
    type Value = UserRecord;
}

#[cfg(test)]
crate::table::row_tests!(Users, text(), any_user());
