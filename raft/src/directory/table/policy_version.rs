//! How often namespaces have changed. One row.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::namespace::PolicyVersionRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct PolicyVersion;

impl Table for PolicyVersion {
    const NAME: &'static str = "policy version table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 8;
    type Key = ();
    type Value = PolicyVersionRecord;
}

#[cfg(test)]
crate::table::row_tests!(PolicyVersion, Just(()), any_namespaces_version());
