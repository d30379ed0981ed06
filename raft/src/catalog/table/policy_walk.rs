//! Prefixes whose unheld manifests are to be looked at again: prefix → how far that has come.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::policies::PolicyWalkRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct PolicyWalks;

impl Table for PolicyWalks {
    const NAME: &'static str = "policy walk table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 35;
    type Key = String;
    type Value = PolicyWalkRecord;
}

#[cfg(test)]
crate::table::row_tests!(PolicyWalks, text(), any_policy_walk());
