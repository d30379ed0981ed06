//! Runs of retention are begun when they are due. What a run does, `jobs` does.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, JobKind, JobScope, Response, StartJob};
use storage::switch;
use tracing::{info, warn};

use super::leader::{Duty, Left};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::{Core, unexpected};

/// Rest between two looks. One read each.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Rest between two rounds in a hurry.
const HASTE: Duration = Duration::from_millis(100);
/// Runs begun in one round: more than may run.
const RUNS_PER_ROUND: usize = 128;

/// The work.
#[derive(Debug)]
pub(super) struct Retention;

impl Duty for Retention {
    const NAME: &'static str = "retention";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = HASTE;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let view = core.records.view();
        let due = view.retention_due(view.clock()?, RUNS_PER_ROUND)?;
        if due.is_empty() {
            return Ok(Left::Nothing);
        }
        let running = view.running_jobs()?;
        for prefix in due {
            if !core.records.is_leader() {
                break;
            }
            let scope = JobScope::Namespace(prefix.clone());
            // The last run goes on still; the next one begins when it has ended.
            if running.iter().any(|(_, job)| job.kind == JobKind::Retention && job.scope == scope) {
                continue;
            }
            let start = StartJob { scope, kind: JobKind::Retention, principal: None };
            match core.propose(Command::StartJob(start)).await? {
                Response::JobStarted { job } => info!(%job, namespace = prefix, "retention begins"),
                // An operator was a moment sooner.
                Response::JobRunning { .. } => {}
                Response::TooManyJobs { limit } => {
                    warn!(namespace = prefix, limit, "retention has to wait until other deletion jobs have ended");
                    break;
                }
                response => return Err(unexpected(&response)),
            }
        }
        Ok(Left::Nothing)
    }

    fn retire(&mut self) {}

    fn hurried(&self) -> bool {
        switch::rare("background.retention.hurry")
    }
}
