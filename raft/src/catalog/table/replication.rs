//! What is copied from other regions: source, prefix → how far it was heard.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::replication::ReplicationRecord;
use crate::id::RegionId;
use crate::key::Prefix;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Replications;

impl Table for Replications {
    const NAME: &'static str = "replication table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 43;
    type Key = (RegionId, Prefix);
    type Value = ReplicationRecord;
}

#[cfg(test)]
crate::table::row_tests!(Replications, (region(), prefix()), any_replication_record());
