//! The cluster itself. One row.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::record::ClusterRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Cluster;

impl Table for Cluster {
    const NAME: &'static str = "cluster table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 1;
    type Key = ();
    type Value = ClusterRecord;
}

#[cfg(test)]
crate::table::row_tests!(Cluster, Just(()), any_cluster());
