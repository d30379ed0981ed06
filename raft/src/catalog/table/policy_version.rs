//! Which version of the policies the catalog has. One row.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::policies::PolicyVersionRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct PolicyVersion;

impl Table for PolicyVersion {
    const NAME: &'static str = "policy version table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 34;
    type Key = ();
    type Value = PolicyVersionRecord;
}

#[cfg(test)]
crate::table::row_tests!(PolicyVersion, Just(()), any_policy_version());
