//! Deletion jobs: number → job. All that run, and the last of those that ended.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::job::{JobId, JobRecord};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Jobs;

impl Table for Jobs {
    const NAME: &'static str = "job table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 38;
    type Key = JobId;
    type Value = JobRecord;
}

#[cfg(test)]
crate::table::row_tests!(Jobs, job_id(), any_job_record());
