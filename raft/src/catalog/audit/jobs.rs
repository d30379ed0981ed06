//! What is said of namespaces, deletion jobs and the times at which retention runs: rows that name each other, and counts.

use super::Audit;
use crate::catalog::job::{JobState, JobTotals};
use crate::catalog::limit::{JOBS_ENDED_KEPT, JOBS_RUNNING_MAX};
use crate::catalog::table::{EndedJobs, JobCounts, Jobs, Policies, PolicyVersion, RetentionDues, RetentionRuns};
use crate::machine::State;
use crate::policy::is_prefix;
use crate::table::StateError;

const RUNS: &str = "retention runs exactly where rules are set";
const DUES: &str = "each run of retention is due once";
const JOBS: &str = "a job is in the list of ended ones exactly when it has ended";
const COUNTS: &str = "the counts of jobs are exact and bounded";
const TAGS: &str = "each tag that a job saw has one fate";
const COPIES: &str = "what is kept of a namespace says something, of a prefix";
const VERSION: &str = "no version of the policies is complete before it was begun";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let version = audit.get::<PolicyVersion>(())?.unwrap_or_default();
    audit.expect(version.complete <= version.begun, VERSION, || format!("{version:?}"));
    audit.each::<Policies>(|audit, prefix, copy| {
        audit.expect(is_prefix(&prefix) && !copy.is_empty(), COPIES, || format!("{prefix:?} has {copy:?}"));
        let rules = copy.policy.retention.filter(|retention| !retention.rules.is_empty());
        let every = rules.map(|rules| rules.every_seconds);
        let run = audit.get::<RetentionRuns>(&prefix)?.map(|run| run.every_seconds);
        audit.expect(run == every, RUNS, || format!("{prefix:?} wants {every:?} and has {run:?}"));
        Ok(())
    })?;
    audit.each::<RetentionRuns>(|audit, prefix, run| {
        let set = audit.contains::<Policies>(&prefix)?;
        audit.expect(set, RUNS, || format!("{prefix:?} sets nothing and runs"));
        let due = audit.contains::<RetentionDues>((&run.due, &prefix))?;
        audit.expect(due, DUES, || format!("{prefix:?} is never due"));
        Ok(())
    })?;
    audit.each::<RetentionDues>(|audit, (due, prefix), ()| {
        let run = audit.get::<RetentionRuns>(&prefix)?;
        audit.expect(run.is_some_and(|run| run.due == due), DUES, || format!("{prefix:?} at {due:?}"));
        Ok(())
    })?;
    jobs(audit)
}

fn jobs<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let totals = audit.get::<JobCounts>(())?.unwrap_or_default();
    let mut seen = JobTotals { last: totals.last, ..JobTotals::default() };
    audit.each::<Jobs>(|audit, job, record| {
        let running = record.state == JobState::Running;
        *(if running { &mut seen.running } else { &mut seen.ended }) += 1;
        let listed = match &record.ended {
            Some(ended) => audit.contains::<EndedJobs>((ended, &job))?,
            None => false,
        };
        audit.expect(listed != running && record.ended.is_none() == running, JOBS, || format!("job {job}"));
        let sum = record.deleted + record.kept + record.protected;
        audit.expect(sum == record.examined, TAGS, || format!("job {job}: {sum} of {}", record.examined));
        audit.expect(job.0 <= totals.last, COUNTS, || format!("job {job} is behind the last one, {}", totals.last));
        Ok(())
    })?;
    let listed = audit.count::<EndedJobs, ()>(())?;
    let bounded = totals.running <= JOBS_RUNNING_MAX && totals.ended <= JOBS_ENDED_KEPT;
    audit.expect(seen == totals && listed == totals.ended && bounded, COUNTS, || {
        format!("{totals:?} in the record, {seen:?} in the table, {listed} ended in order")
    });
    Ok(())
}
