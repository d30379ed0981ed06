//! Deletion jobs are carried out, step by step: which tags go is judged outside (`deletion::judge`), and the catalog looks
//! at each of them once more when it deletes it.
//!
//! The catalog remembers how far a job has come, and a step says from where it goes on: a step that comes twice, or from
//! a leader of before, changes nothing. Jobs take turns. Tags are deleted within a budget per second and no more than
//! half of the time while clients are served.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, JobCursor, JobId, JobRecord, JobState, JobStep, Response, StateError, TagToDelete};
use storage::switch;
use tokio::time::Instant;
use tracing::info;

use super::Metrics;
use super::leader::{Duty, Left};
use crate::deletion::{Judge, JudgedPage, Plan};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::{Core, unexpected};
use crate::gateway::write::{Pace, Stint};

/// Rest between two looks for jobs. One read each.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Rest between two jobs' turns.
const ROUND_REST: Duration = Duration::from_millis(10);
/// A job's turn, while others wait.
const TURN: Duration = Duration::from_secs(5);
/// Tags judged in one step.
const TAGS_PER_STEP: usize = 256;
/// Tags deleted in one step: others wait for it for some milliseconds at most.
const DELETED_PER_STEP: usize = 64;

/// The next step of a job, made of a page of tags that were judged. It ends early when enough of them go.
fn step(job: JobId, at: Option<JobCursor>, page: JudgedPage) -> JobStep {
    let mut step =
        JobStep { job, expected_cursor: at, next_cursor: page.next, examined: 0, kept: 0, delete: Vec::new() };
    let tags = page.tags.len();
    for (number, (repository, judged)) in page.tags.into_iter().enumerate() {
        step.examined += 1;
        if !judged.is_deleted() {
            step.kept += 1;
            continue;
        }
        let (tag, digest) = (judged.tag, judged.digest);
        step.delete.push(TagToDelete { repository: repository.clone(), tag: tag.clone(), digest });
        if step.delete.len() == DELETED_PER_STEP && number + 1 < tags {
            step.next_cursor = Some((repository, tag));
            break;
        }
    }
    step
}

/// The work.
#[derive(Debug)]
pub(super) struct Jobs {
    metrics: Metrics,
    pace: Arc<Pace>,
    /// Whose turn it was last, and the judgement of the repository that it is in.
    last: Option<(JobId, Option<Plan>)>,
}

impl Jobs {
    /// Work within a budget of tags that are deleted in each second; zero is without limit.
    pub(super) fn new(metrics: Metrics, items_per_second: u64) -> Self {
        Self { metrics, pace: Pace::new(items_per_second), last: None }
    }

    /// The job whose turn it is.
    fn next(&self, running: &[(JobId, JobRecord)]) -> Option<JobId> {
        let behind = running.iter().find(|(job, _)| self.last.as_ref().is_none_or(|(last, _)| job > last));
        behind.or(running.first()).map(|(job, _)| *job)
    }

    /// Goes on with a job until its turn or the job is over.
    async fn turn(&mut self, core: &Arc<Core>, job: JobId) -> Result<(), CatalogError> {
        let begun = Instant::now();
        let mut stint = self.pace.stint();
        let mut plan = self.last.take().filter(|(last, _)| *last == job).and_then(|(_, plan)| plan);
        self.last = Some((job, None));
        while core.records.is_leader() && begun.elapsed() < TURN {
            let Some(record) = core.records.view().job(job)?.filter(|record| record.state == JobState::Running) else {
                break;
            };
            plan = self.go_on(core, job, record, plan, &mut stint).await?;
        }
        self.last = Some((job, plan));
        Ok(())
    }

    async fn go_on(
        &self,
        core: &Arc<Core>,
        job: JobId,
        record: JobRecord,
        mut plan: Option<Plan>,
        stint: &mut Stint,
    ) -> Result<Option<Plan>, CatalogError> {
        let judge = Judge { scope: record.scope, kind: record.kind, principal: record.principal };
        let (view, at) = (core.records.view(), record.cursor.clone());
        let judged = core.exec.run(move || -> Result<_, StateError> {
            let page = judge.page(&view, at.as_ref(), TAGS_PER_STEP, &mut plan)?;
            Ok((page, plan))
        });
        let (page, plan) = judged.await?;
        let step = step(job, record.cursor, page);
        let (examined, deleted, done) = (step.examined, step.delete.len() as u64, step.next_cursor.is_none());
        match core.propose(Command::JobStep(step)).await? {
            // Somebody else went on with it, or an operator ended it: the next look tells.
            Response::Stale | Response::JobUnknown => return Ok(None),
            Response::Done | Response::Count { .. } => {}
            response => return Err(unexpected(&response)),
        }
        self.metrics.job_examined_tags.inc_by(examined);
        self.metrics.job_deleted_tags.inc_by(deleted);
        if done && let Some(ended) = core.records.view().job(job)? {
            info!(%job, examined = ended.examined, deleted = ended.deleted, kept = ended.kept, "deletion job done");
        }
        stint.done(core, deleted.max(1)).await;
        Ok(plan)
    }
}

impl Duty for Jobs {
    const NAME: &'static str = "jobs";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = ROUND_REST;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let running = core.records.view().running_jobs()?;
        let Some(job) = self.next(&running) else {
            self.last = None;
            return Ok(Left::Nothing);
        };
        self.turn(core, job).await?;
        Ok(Left::More)
    }

    fn retire(&mut self) {
        self.last = None;
    }

    fn hurried(&self) -> bool {
        switch::rare("background.jobs.hurry")
    }
}
