//! Ended jobs by their end, so that the oldest can be forgotten: end, number.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::job::JobId;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct EndedJobs;

impl Table for EndedJobs {
    const NAME: &'static str = "ended job table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 39;
    type Key = (Timestamp, JobId);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(EndedJobs, (timestamp(), job_id()), Just(()));
