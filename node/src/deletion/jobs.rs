//! Deletion jobs: tags of a pattern, or what retention does not keep, deleted in the background.

use raft::catalog::{Command, JobId, JobKind, JobRecord, JobScope, RepositoryName, Response, StartJob};
use raft::policy::Pattern;

use super::namespace::check_prefix;
use super::{Deletion, DeletionError};

/// Tags that are to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkDeletion {
    /// Where.
    pub scope: JobScope,
    /// Which.
    pub tags: Pattern,
    /// Only those that were set longer ago than this.
    pub older_than_seconds: Option<u64>,
}

impl BulkDeletion {
    pub(super) fn kind(&self) -> JobKind {
        JobKind::Tags { pattern: self.tags.clone(), older_than_seconds: self.older_than_seconds }
    }
}

/// Refuses what cannot be a scope.
pub(super) fn check_scope(scope: &JobScope) -> Result<(), DeletionError> {
    match scope {
        JobScope::Namespace(prefix) => check_prefix(prefix),
        JobScope::Repository(_) => Ok(()),
    }
}

fn unknown(job: JobId) -> DeletionError {
    DeletionError::Unknown(format!("there is no deletion job {job}, or it ended long ago: regnode job list lists them"))
}

impl Deletion {
    /// Begins to delete tags in the background.
    pub async fn start_bulk(&self, bulk: BulkDeletion, principal: Option<String>) -> Result<JobId, DeletionError> {
        check_scope(&bulk.scope)?;
        let kind = bulk.kind();
        self.start(StartJob { scope: bulk.scope, kind, principal }).await
    }

    /// Begins a run of retention at a prefix, whether it is due or not.
    pub async fn run_retention(&self, prefix: &str, principal: Option<String>) -> Result<JobId, DeletionError> {
        check_prefix(prefix)?;
        self.check_retention(prefix).await?;
        let scope = JobScope::Namespace(prefix.to_owned());
        self.start(StartJob { scope, kind: JobKind::Retention, principal }).await
    }

    /// Refuses a prefix for which no retention is set: its run would look at everything and do nothing.
    pub(super) async fn check_retention(&self, prefix: &str) -> Result<(), DeletionError> {
        let named = prefix.parse::<RepositoryName>().ok();
        let is_set = self.read(move |view| {
            if let Some(name) = named {
                return Ok(view.policy(&name)?.0.retention.is_some());
            }
            let root = view.policies(None, 1)?.pop().filter(|(at, _)| at.is_empty());
            Ok(root.and_then(|(_, copy)| copy.policy.retention).is_some_and(|retention| !retention.rules.is_empty()))
        });
        if is_set.await? {
            return Ok(());
        }
        Err(DeletionError::Invalid(format!(
            "no retention is in force for namespace {prefix:?}: set rules first with regnode namespace set"
        )))
    }

    async fn start(&self, start: StartJob) -> Result<JobId, DeletionError> {
        match self.core.propose(Command::StartJob(start)).await? {
            Response::JobStarted { job } => Ok(job),
            Response::JobRunning { job } => Err(DeletionError::Conflict(format!(
                "deletion job {job} does the same already: regnode job show {job} tells how far it is"
            ))),
            Response::TooManyJobs { limit } => Err(DeletionError::Conflict(format!(
                "{limit} deletion jobs run already, the most that may: wait for one to end, or cancel one"
            ))),
            response => Err(DeletionError::other(&response)),
        }
    }

    /// All jobs that run and the last of those that ended, the newest first.
    pub async fn jobs(&self) -> Result<Vec<(JobId, JobRecord)>, DeletionError> {
        let mut jobs = self.read(|view| view.jobs(None, usize::MAX)).await?;
        jobs.reverse();
        Ok(jobs)
    }

    /// One job.
    pub async fn job(&self, job: JobId) -> Result<JobRecord, DeletionError> {
        self.read(move |view| view.job(job)).await?.ok_or_else(|| unknown(job))
    }

    /// Ends a job before it is done. What it deleted stays deleted.
    pub async fn cancel_job(&self, job: JobId) -> Result<JobRecord, DeletionError> {
        match self.core.propose(Command::CancelJob { job }).await? {
            Response::Done => self.job(job).await,
            Response::JobUnknown => Err(unknown(job)),
            Response::Stale => Err(DeletionError::Conflict(format!("deletion job {job} is done already"))),
            response => Err(DeletionError::other(&response)),
        }
    }
}
