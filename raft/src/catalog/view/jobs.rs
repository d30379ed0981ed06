//! Reads for deletion jobs: the jobs, when retention runs, and the tags that they look at.

use super::View;
use crate::catalog::apply;
use crate::catalog::job::{JobCursor, JobId, JobRecord, JobState, JobTotals, RetentionRunRecord};
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::TagRecord;
use crate::catalog::table::{
    JobCounts, Jobs, ManifestParents, Pulls, Referrers, Repositories, RetentionDues, RetentionRuns, Tags, rows_below,
};
use crate::machine::State;
use crate::policy::{Attachment, Policy, TagFacts, is_signature};
use crate::table::{StateError, Table};
use crate::time::Timestamp;

/// Most referrers of a manifest among which a signature is looked for.
const REFERRERS_EXAMINED: usize = 256;

impl<S: State> View<S> {
    /// A job; `None` if there was none, or it was forgotten.
    pub fn job(&self, job: JobId) -> Result<Option<JobRecord>, StateError> {
        Jobs::get(&self.state, &job)
    }

    /// Jobs by number, behind `after`: all that run, and the last of those that ended. A bounded number.
    pub fn jobs(&self, after: Option<JobId>, limit: usize) -> Result<Vec<(JobId, JobRecord)>, StateError> {
        Jobs::scan::<()>(&self.state, (), after.as_ref(), limit)
    }

    /// Jobs that run, the oldest first. At most [`JOBS_RUNNING_MAX`](crate::catalog::JOBS_RUNNING_MAX).
    pub fn running_jobs(&self) -> Result<Vec<(JobId, JobRecord)>, StateError> {
        if self.job_totals()?.running == 0 {
            return Ok(Vec::new());
        }
        let mut jobs = self.jobs(None, usize::MAX)?;
        jobs.retain(|(_, job)| job.state == JobState::Running);
        Ok(jobs)
    }

    /// Counts of the jobs.
    pub fn job_totals(&self) -> Result<JobTotals, StateError> {
        Ok(JobCounts::get(&self.state, ())?.unwrap_or_default())
    }

    /// Prefixes whose retention is due at `now`, the longest overdue first.
    pub fn retention_due(&self, now: Timestamp, limit: usize) -> Result<Vec<String>, StateError> {
        let end = Timestamp(now.0.saturating_add(1));
        let rows = RetentionDues::scan_below::<Timestamp>(&self.state, &end, limit)?;
        Ok(rows.into_iter().map(|((_, prefix), ())| prefix).collect())
    }

    /// When the next retention is due; `None` if no prefix sets rules.
    pub fn retention_next(&self) -> Result<Option<Timestamp>, StateError> {
        let first = RetentionDues::scan::<()>(&self.state, (), None, 1)?;
        Ok(first.into_iter().next().map(|((due, _), ())| due))
    }

    /// When retention ran and runs at a prefix; `None` where it sets no rules.
    pub fn retention_run(&self, prefix: &str) -> Result<Option<RetentionRunRecord>, StateError> {
        RetentionRuns::get(&self.state, &prefix.to_owned())
    }

    /// Repositories with content below a prefix, in order, behind `after`.
    pub fn repositories_below(
        &self,
        prefix: &str,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, StateError> {
        let rows = rows_below::<Repositories>(&self.state, prefix, after, limit)?;
        Ok(rows.into_iter().map(|(name, _)| name).collect())
    }

    /// Tags of all repositories below a prefix, in order, behind `after`.
    pub fn tags_below(
        &self,
        prefix: &str,
        after: Option<&JobCursor>,
        limit: usize,
    ) -> Result<Vec<(JobCursor, TagRecord)>, StateError> {
        let after = after.map(|(repository, tag)| (repository, tag));
        rows_below::<Tags>(&self.state, prefix, after, limit)
    }

    /// What retention has to know of the tags of a repository, in lexical order, behind `after`. `policy` is the
    /// repository's, `principal` the one in whose name retention deletes.
    pub fn tag_facts(
        &self,
        repository: &RepositoryName,
        policy: &Policy,
        principal: Option<&str>,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<TagFacts>, StateError> {
        // What was pulled at another home until then is not known: it counts as pulled.
        let home_since = apply::home_since(&self.state, repository)?;
        let after = after.map(|tag| (repository, tag));
        let rows = Tags::scan::<RepositoryName>(&self.state, repository, after, limit)?;
        let mut facts = Vec::with_capacity(rows.len());
        for ((_, tag), record) in rows {
            let (pushed, digest) = (record.updated, record.digest);
            let pulled = Pulls::get(&self.state, (repository, &digest))?.max(home_since);
            let signed = self.is_signed(repository, &digest)?;
            let key = (repository, &digest);
            let referenced = !ManifestParents::scan::<(RepositoryName, Digest)>(&self.state, key, None, 1)?.is_empty();
            let immutable = policy.immutable(tag.as_str(), principal).cloned();
            facts.push(TagFacts { tag, digest, pushed, pulled, signed, referenced, immutable });
        }
        Ok(facts)
    }

    /// Whether a manifest has a signature: a referrer that is one, or the tag under which older tools put it.
    pub fn is_signed(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, StateError> {
        if let Some(tag) = Attachment::signature_tag(digest)
            && Tags::contains(&self.state, (repository, &tag))?
        {
            return Ok(true);
        }
        let key = (repository, digest);
        let referrers = Referrers::scan::<(RepositoryName, Digest)>(&self.state, key, None, REFERRERS_EXAMINED)?;
        Ok(referrers.iter().any(|(_, referrer)| referrer.artifact_type.as_deref().is_some_and(is_signature)))
    }
}
