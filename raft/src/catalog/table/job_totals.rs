//! Counts of the jobs. One row.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::job::JobTotals;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct JobCounts;

impl Table for JobCounts {
    const NAME: &'static str = "job totals table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 40;
    type Key = ();
    type Value = JobTotals;
}

#[cfg(test)]
crate::table::row_tests!(JobCounts, Just(()), any_job_totals());
