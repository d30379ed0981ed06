//! Deletion jobs: begun, worked off step by step by compare-and-set on the cursor, ended, forgotten.
//!
//! A step is made up outside, from a state that may have moved on since: each tag is looked at once more, in log order.
//! A step that comes twice, or from one who leads no more, finds another cursor and does nothing.

use super::context::{Context, subtract};
use super::deletion::Deleted;
use super::history::Actor;
use super::{deletion, malformed, policy, retention};
use crate::catalog::history::ChangeCause;
use crate::catalog::job::{JobId, JobKind, JobRecord, JobScope, JobState, JobStep, JobTotals, StartJob, TagToDelete};
use crate::catalog::limit::{JOBS_ENDED_KEPT, JOBS_RUNNING_MAX, TAGS_PER_STEP};
use crate::catalog::response::Response;
use crate::catalog::table::{EndedJobs, JobCounts, Jobs};
use crate::machine::ApplyError;
use crate::policy::{OPERATOR, Policy, is_prefix};
use crate::table::{Table, inconsistent};

/// What became of a tag that a step wants to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Deleted,
    /// It was moved or deleted meanwhile.
    Kept,
    /// The policy forbids it.
    Protected,
}

/// Begins a job.
pub(super) fn start(context: &mut Context<'_, '_>, start: StartJob) -> Result<Response, ApplyError> {
    if let JobScope::Namespace(prefix) = &start.scope
        && !is_prefix(prefix)
    {
        return Ok(malformed(format!("{prefix:?} is not a namespace")));
    }
    if let Some(refusal) = refuse(context, &start)? {
        return Ok(refusal);
    }
    let mut totals = JobCounts::get(context.state, ())?.unwrap_or_default();
    // All that run and those that are kept: a bounded number.
    let same = |job: &JobRecord| job.state == JobState::Running && job.scope == start.scope && job.kind == start.kind;
    let jobs = Jobs::scan::<()>(context.state, (), None, usize::MAX)?;
    if let Some((job, _)) = jobs.into_iter().find(|(_, job)| same(job)) {
        return Ok(Response::JobRunning { job });
    }
    if totals.running >= JOBS_RUNNING_MAX {
        return Ok(Response::TooManyJobs { limit: JOBS_RUNNING_MAX });
    }
    totals.last += 1;
    totals.running += 1;
    if let (JobKind::Retention, JobScope::Namespace(prefix)) = (&start.kind, &start.scope) {
        retention::begun(context, prefix)?;
    }
    let record = JobRecord {
        scope: start.scope,
        kind: start.kind,
        state: JobState::Running,
        cursor: None,
        examined: 0,
        deleted: 0,
        kept: 0,
        protected: 0,
        principal: start.principal,
        started: context.now,
        ended: None,
    };
    let job = JobId(totals.last);
    Jobs::put(context.state, &job, &record);
    JobCounts::put(context.state, (), &totals);
    Ok(Response::JobStarted { job })
}

/// Why a job cannot begin: where it deletes nobody writes in this region, or nothing may be deleted. Retention is the
/// namespace's own wish, whoever may delete there; and below a prefix that is at home elsewhere a longer one may be at
/// home here, so that its runs look at each repository.
fn refuse(context: &Context<'_, '_>, start: &StartJob) -> Result<Option<Response>, ApplyError> {
    let principal = start.principal.as_deref();
    if start.kind == JobKind::Retention {
        return match &start.scope {
            JobScope::Repository(repository) => policy::refuse_write(context, repository.as_str(), principal),
            JobScope::Namespace(_) => Ok(None),
        };
    }
    // A prefix has the grammar of a repository, and what holds for one of that name holds for the prefix.
    let named = match &start.scope {
        JobScope::Repository(repository) => Some(repository.clone()),
        JobScope::Namespace(prefix) => prefix.parse().ok(),
    };
    if let Some(repository) = named {
        return policy::refuse_delete(context, &repository, principal);
    }
    if let Some(foreign) = policy::refuse_write(context, "", principal)? {
        return Ok(Some(foreign));
    }
    let may = policy::root(context)?.deletes || principal == Some(OPERATOR);
    Ok((!may).then(|| Response::DeletesOff { namespace: String::new() }))
}

/// Goes one step on with a job, if it stands where the step was made up.
pub(super) fn step(context: &mut Context<'_, '_>, step: JobStep) -> Result<Response, ApplyError> {
    let Some(mut record) = Jobs::get(context.state, &step.job)? else { return Ok(Response::JobUnknown) };
    if record.state != JobState::Running || record.cursor != step.expected_cursor {
        return Ok(Response::Stale);
    }
    if let Err(message) = check(&record, &step) {
        return Ok(malformed(message));
    }
    let cause = match record.kind {
        JobKind::Retention => ChangeCause::Retention,
        JobKind::Tags { .. } => ChangeCause::BulkDeletion,
    };
    let actor = Actor { principal: record.principal.clone(), cause, made: None };
    record.examined += step.examined;
    record.kept += step.kept;
    let mut deleted = 0;
    for group in step.delete.chunk_by(|left, right| left.repository == right.repository) {
        let in_force = policy::of(context, &group[0].repository)?;
        for tag in group {
            match delete(context, tag, &in_force, &actor)? {
                Fate::Deleted => deleted += 1,
                Fate::Kept => record.kept += 1,
                Fate::Protected => record.protected += 1,
            }
        }
    }
    record.deleted += deleted;
    record.cursor = step.next_cursor;
    if record.cursor.is_none() {
        end(context, step.job, record, JobState::Done)?;
    } else {
        Jobs::put(context.state, &step.job, &record);
    }
    Ok(Response::Count { count: deleted })
}

/// Whether a step fits its job; the message says why not.
fn check(record: &JobRecord, step: &JobStep) -> Result<(), String> {
    if step.delete.len() > TAGS_PER_STEP {
        return Err(format!("a step that deletes more than {TAGS_PER_STEP} tags"));
    }
    if step.kept.checked_add(step.delete.len() as u64) != Some(step.examined) {
        return Err("a step whose tags kept and to delete are not those that it has seen".to_owned());
    }
    if step.next_cursor.is_some() && step.next_cursor <= step.expected_cursor {
        return Err("a step that goes nowhere".to_owned());
    }
    match step.delete.iter().find(|tag| !record.scope.covers(&tag.repository)) {
        Some(tag) => Err(format!("repository {} is not one of the job's", tag.repository)),
        None => Ok(()),
    }
}

fn delete(
    context: &mut Context<'_, '_>,
    tag: &TagToDelete,
    in_force: &Policy,
    actor: &Actor,
) -> Result<Fate, ApplyError> {
    // Retention is the namespace's own wish, whoever may delete there.
    let bulk = actor.cause == ChangeCause::BulkDeletion;
    let principal = actor.principal.as_deref();
    if bulk && !in_force.deletes && principal != Some(OPERATOR) {
        return Ok(Fate::Protected);
    }
    if policy::refuse_write(context, tag.repository.as_str(), principal)?.is_some() {
        return Ok(Fate::Protected);
    }
    Ok(match deletion::delete_tagged(context, &tag.repository, &tag.tag, &tag.digest, actor)? {
        Deleted::Tag | Deleted::TagAndManifest => Fate::Deleted,
        Deleted::Changed => Fate::Kept,
        Deleted::Immutable => Fate::Protected,
    })
}

/// Ends a job before it is done.
pub(super) fn cancel(context: &mut Context<'_, '_>, job: JobId) -> Result<Response, ApplyError> {
    let Some(record) = Jobs::get(context.state, &job)? else { return Ok(Response::JobUnknown) };
    match record.state {
        JobState::Running => end(context, job, record, JobState::Cancelled)?,
        JobState::Done => return Ok(Response::Stale),
        JobState::Cancelled => {}
    }
    Ok(Response::Done)
}

/// Ends a job, and forgets the oldest one that ended when there are too many.
fn end(context: &mut Context<'_, '_>, job: JobId, mut record: JobRecord, state: JobState) -> Result<(), ApplyError> {
    record.state = state;
    record.ended = Some(context.now);
    Jobs::put(context.state, &job, &record);
    EndedJobs::put(context.state, (&context.now, &job), &());
    let mut totals: JobTotals = JobCounts::require(context.state, ())?;
    subtract(&mut totals.running, 1, "running jobs")?;
    totals.ended += 1;
    if totals.ended > JOBS_ENDED_KEPT {
        let oldest = EndedJobs::scan::<()>(context.state, (), None, 1)?.into_iter().next();
        let Some(((ended, oldest), ())) = oldest else {
            return Err(inconsistent("job totals", "they count ended jobs that are not there"));
        };
        EndedJobs::delete(context.state, (&ended, &oldest));
        Jobs::delete(context.state, &oldest);
        totals.ended -= 1;
    }
    JobCounts::put(context.state, (), &totals);
    Ok(())
}
