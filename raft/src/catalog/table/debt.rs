//! What is owed of a replication: source, prefix, number → the debt.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::replication::DebtRecord;
use crate::id::RegionId;
use crate::key::Prefix;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Debts;

impl Table for Debts {
    const NAME: &'static str = "debt table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 44;
    type Key = (RegionId, Prefix, u64);
    type Value = DebtRecord;
}

#[cfg(test)]
crate::table::row_tests!(Debts, (region(), prefix(), any::<u64>()), any_debt_record());
