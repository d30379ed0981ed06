//! The paths of the local socket for deletions of many tags: `POST /jobs`, `/job/show`, `/job/cancel`, `/delete`,
//! `/delete/preview`, `/retention/run`, `/retention/preview`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use raft::catalog::{JobCursor, JobId, JobKind, JobRecord, JobScope, JobState};
use raft::directory::Action;

use super::job_types::{
    BulkDeletionRequest, JobAnswer, JobEntry, JobRequest, JobsAnswer, JobsRequest, PreviewAnswer, PreviewedTag,
    RetentionRequest,
};
use super::operator::{Denied, Operator, Reach};
use super::refusal::refused;
use super::router::Admin;
use super::types::VERSION;
use crate::deletion::{BulkDeletion, DeletionError, Preview, PreviewEntry};

/// Tags in one page of a preview.
const PAGE: usize = 1000;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/jobs", post(list))
        .route("/job/show", post(show))
        .route("/job/cancel", post(cancel))
        .route("/delete", post(delete))
        .route("/delete/preview", post(preview_deletion))
        .route("/retention/run", post(run_retention))
        .route("/retention/preview", post(preview_retention))
}

async fn list(State(admin): State<Admin>, operator: Operator, Json(_whose): Json<JobsRequest>) -> Response {
    let answer = async {
        let mut jobs = Vec::new();
        let all = operator.may(&[(Action::Operate, "")]);
        for (id, record) in admin.deletion.jobs().await? {
            if !all && !operator.may_within(reach(&record), &to_see(scope(&record))) {
                continue;
            }
            jobs.push(entry(&admin, id, record).await?);
        }
        Ok(JobsAnswer { version: VERSION, jobs })
    };
    match answer.await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

/// What lets somebody see a job.
fn to_see(scope: &str) -> [(Action, &str); 5] {
    let here = |action| (action, scope);
    [here(Action::Policy), here(Action::Delete), here(Action::Pull), here(Action::Audit), (Action::Operate, "")]
}

/// The repository or the namespace that a job works on.
fn scope(record: &JobRecord) -> &str {
    match &record.scope {
        JobScope::Namespace(prefix) => prefix,
        JobScope::Repository(repository) => repository.as_str(),
    }
}

/// How far it goes: what works on a namespace works on all that is below.
fn reach(record: &JobRecord) -> Reach {
    match &record.scope {
        JobScope::Namespace(_) => Reach::Below,
        JobScope::Repository(_) => Reach::Itself,
    }
}

async fn show(State(admin): State<Admin>, operator: Operator, Json(request): Json<JobRequest>) -> Response {
    let id = JobId(request.job);
    match admin.deletion.job(id).await {
        Ok(record) => match operator.check_within(reach(&record), &to_see(scope(&record))) {
            Ok(()) => answer(entry(&admin, id, record).await),
            Err(denied) => hidden_job(denied, id),
        },
        Err(error) => unknown_job(&operator, id, &error),
    }
}

/// That there is no such job is told to who may see all of them.
fn unknown_job(operator: &Operator, id: JobId, error: &DeletionError) -> Response {
    match operator.check_within(Reach::Below, &to_see("")) {
        Ok(()) => refused(error),
        Err(denied) => hidden_job(denied, id),
    }
}

/// The same for a job that there is not as for one that he may not touch: where others have jobs is not told.
fn hidden_job(denied: Denied, JobId(id): JobId) -> Response {
    let message = format!("there is no job {id}, or the caller has no right of what it takes to see or cancel it");
    denied.in_words(message).refused()
}

async fn cancel(State(admin): State<Admin>, operator: Operator, Json(request): Json<JobRequest>) -> Response {
    let id = JobId(request.job);
    let record = match admin.deletion.job(id).await {
        Ok(record) => record,
        Err(error) => return unknown_job(&operator, id, &error),
    };
    let right = if matches!(record.kind, JobKind::Retention) { Action::Policy } else { Action::Delete };
    let needed = [(right, scope(&record)), (Action::Operate, "")];
    // To stop something does nothing to what is below.
    if let Err(denied) = operator.check(&needed) {
        return hidden_job(denied, id);
    }
    let cancelled = async { entry(&admin, id, admin.deletion.cancel_job(id).await?).await };
    answer(cancelled.await)
}

async fn delete(State(admin): State<Admin>, operator: Operator, Json(request): Json<BulkDeletionRequest>) -> Response {
    let started = async {
        let id = admin.deletion.start_bulk(bulk(request).0, Some(operator.name())).await?;
        entry(&admin, id, admin.deletion.job(id).await?).await
    };
    answer(started.await)
}

async fn run_retention(
    State(admin): State<Admin>,
    operator: Operator,
    Json(request): Json<RetentionRequest>,
) -> Response {
    let started = async {
        let id = admin.deletion.run_retention(&request.prefix, Some(operator.name())).await?;
        entry(&admin, id, admin.deletion.job(id).await?).await
    };
    answer(started.await)
}

async fn preview_deletion(State(admin): State<Admin>, Json(request): Json<BulkDeletionRequest>) -> Response {
    let (bulk, after) = bulk(request);
    let preview = async { admin.deletion.preview_bulk(&bulk, cursor(after.as_deref())?, PAGE).await };
    preview_answer(preview.await)
}

async fn preview_retention(State(admin): State<Admin>, Json(request): Json<RetentionRequest>) -> Response {
    let RetentionRequest { prefix, after } = request;
    let preview = async { admin.deletion.preview_retention(&prefix, cursor(after.as_deref())?, PAGE).await };
    preview_answer(preview.await)
}

/// What is asked for, and where its preview goes on.
fn bulk(request: BulkDeletionRequest) -> (BulkDeletion, Option<String>) {
    let BulkDeletionRequest { repository, tags, older_than_seconds, after } = request;
    (BulkDeletion { scope: JobScope::Repository(repository), tags, older_than_seconds }, after)
}

fn answer(outcome: Result<JobEntry, DeletionError>) -> Response {
    match outcome {
        Ok(job) => Json(JobAnswer { version: VERSION, job }).into_response(),
        Err(error) => refused(&error),
    }
}

/// A job, with how much is left of it.
async fn entry(admin: &Admin, id: JobId, record: JobRecord) -> Result<JobEntry, DeletionError> {
    let scope = match &record.scope {
        JobScope::Namespace(prefix) => prefix.clone(),
        JobScope::Repository(repository) => repository.to_string(),
    };
    let tags =
        if record.state == JobState::Running { Some(admin.deletion.usage(&scope).await?.usage.tags) } else { None };
    let regions = admin.deletion.regions();
    let region = regions.region(regions.own()).filter(|_| !regions.others().is_empty()).map(|region| region.name);
    Ok(JobEntry { region, ..told(id, scope, record, tags) })
}

/// A job as it is told. `tags` are those that are in its scope now.
fn told(id: JobId, scope: String, record: JobRecord, tags: Option<u64>) -> JobEntry {
    let (kind, pattern, older_than_seconds) = match record.kind {
        JobKind::Retention => ("retention", None, None),
        JobKind::Tags { pattern, older_than_seconds } => ("tags", Some(pattern.to_string()), older_than_seconds),
    };
    let state = match record.state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
    };
    JobEntry {
        id: id.0,
        kind: kind.to_owned(),
        scope,
        tags: pattern,
        older_than_seconds,
        state: state.to_owned(),
        examined: record.examined,
        deleted: record.deleted,
        kept: record.kept,
        protected: record.protected,
        left: tags.map(|tags| tags.saturating_sub(record.kept + record.protected)),
        principal: record.principal,
        started_milliseconds: record.started.0,
        ended_milliseconds: record.ended.map(|ended| ended.0),
        region: None,
    }
}

fn preview_answer(outcome: Result<Preview, DeletionError>) -> Response {
    match outcome {
        Ok(preview) => {
            let next = preview.next.map(|(repository, tag)| format!("{repository}:{tag}"));
            let tags = preview.entries.into_iter().map(previewed).collect();
            Json(PreviewAnswer { version: VERSION, tags, next }).into_response()
        }
        Err(error) => refused(&error),
    }
}

fn previewed(entry: PreviewEntry) -> PreviewedTag {
    PreviewedTag {
        repository: entry.repository,
        tag: entry.tag,
        digest: entry.digest.to_string(),
        pushed_milliseconds: entry.pushed.0,
        pulled_milliseconds: entry.pulled.map(|pulled| pulled.0),
        delete: entry.verdict.delete,
        why: entry.verdict.why,
    }
}

/// A place in a preview.
fn cursor(after: Option<&str>) -> Result<Option<JobCursor>, DeletionError> {
    let Some(text) = after else { return Ok(None) };
    let place = text.split_once(':').and_then(|(repository, tag)| Some((repository.parse().ok()?, tag.parse().ok()?)));
    place.map(Some).ok_or_else(|| DeletionError::Invalid(format!("{text:?} is no place to go on")))
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;

    use super::*;

    #[test]
    fn a_place_in_a_preview_survives_as_text() {
        assert_eq!(cursor(None).unwrap(), None);
        let place = cursor(Some("acme/app:v1")).unwrap().unwrap();
        assert_eq!((place.0.as_str(), place.1.as_str()), ("acme/app", "v1"));
        assert!(cursor(Some("acme/app")).unwrap_err().to_string().contains("no place"));
    }

    #[test]
    fn what_is_left_of_a_job_are_the_tags_that_it_has_not_kept() {
        let record = JobRecord {
            scope: JobScope::Namespace("acme".to_owned()),
            kind: JobKind::Retention,
            state: JobState::Running,
            cursor: None,
            examined: 10,
            deleted: 6,
            kept: 3,
            protected: 1,
            principal: None,
            started: Timestamp(1),
            ended: None,
        };
        let told = told(JobId(7), "acme".to_owned(), record, Some(24));
        assert_eq!((told.id, told.kind.as_str(), told.left), (7, "retention", Some(20)));
    }
}
