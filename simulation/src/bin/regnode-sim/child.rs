//! One run in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use simulation::report::Report;
use simulation::seed::Seed;
use tokio::process::Command;

/// How much longer than its limit a process may take to say that it did not end.
const GRACE: Duration = Duration::from_secs(30);
/// Lines of a process that broke off which stand in its report.
const LINES_SHOWN: usize = 30;

/// What a process is to run.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The seed.
    pub(crate) seed: u64,
    /// The scenario; the seed's own run if there is none.
    pub(crate) scenario: Option<&'static str>,
    /// The planted fault.
    pub(crate) mutation: Option<&'static str>,
    /// File for all lines of the trace.
    pub(crate) trace: Option<PathBuf>,
    /// Longest time by the wall clock.
    pub(crate) limit: Duration,
}

impl Task {
    /// The run of a seed.
    pub(crate) const fn seed(seed: u64, limit: Duration) -> Self {
        Self { seed, scenario: None, mutation: None, trace: None, limit }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = match self.scenario {
            Some(name) => vec!["scenario".to_owned(), name.to_owned()],
            None => vec!["run".to_owned()],
        };
        let mut option = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
        option("--seed", &self.seed.to_string());
        option("--wall-limit", &self.limit.as_secs().to_string());
        if let Some(mutation) = self.mutation {
            option("--mutation", mutation);
        }
        if let Some(trace) = &self.trace {
            option("--trace", &trace.to_string_lossy());
        }
        arguments.push("--json".to_owned());
        arguments
    }

    /// Runs it. The process dies with this future.
    ///
    /// # Errors
    /// When no process can be started. That one breaks off is in the report.
    pub(crate) async fn run(&self) -> Result<Report> {
        let program = own_program()?;
        let output = command(&program)
            .args(self.arguments())
            .stdin(Stdio::null())
            // A group of its own: ctrl-c reaches this process alone, which then ends the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .output();
        let Ok(output) = tokio::time::timeout(self.limit + GRACE, output).await else {
            return Ok(self.broken_off(format!("did not end within {} s and said nothing", self.limit.as_secs())));
        };
        let output = output.context("starting a process for a run")?;
        Ok(report_of(&output).unwrap_or_else(|| self.broken_off(last_words(&output))))
    }

    fn broken_off(&self, text: String) -> Report {
        Report::broken_off(Seed(self.seed), self.scenario, self.mutation, text)
    }
}

/// This very program, even if it was built anew meanwhile: all runs of a swarm are of one revision.
fn own_program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("finding the program's own path")
}

#[expect(clippy::disallowed_methods, reason = "each run is a process of its own")]
fn command(program: &Path) -> Command {
    Command::new(program)
}

fn report_of(output: &Output) -> Option<Report> {
    let text = std::str::from_utf8(&output.stdout).ok()?;
    serde_json::from_str(text.lines().last()?).ok()
}

fn last_words(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = errors.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
    format!("{} without a report; it said last:\n{}", output.status, last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_the_command_that_a_user_would_type() {
        let task = Task { mutation: Some("m"), ..Task::seed(7, Duration::from_mins(1)) };
        assert_eq!(task.arguments().join(" "), "run --seed 7 --wall-limit 60 --mutation m --json");
        let task = Task { scenario: Some("smoke"), trace: Some("t".into()), ..Task::seed(1, Duration::from_mins(1)) };
        assert_eq!(task.arguments().join(" "), "scenario smoke --seed 1 --wall-limit 60 --trace t --json");
    }

    #[test]
    fn a_process_that_broke_off_is_quoted() {
        use std::os::unix::process::ExitStatusExt;

        let status = std::process::ExitStatus::from_raw(6);
        let output = Output { status, stdout: Vec::new(), stderr: b"stack overflow\n".to_vec() };
        assert!(report_of(&output).is_none());
        assert!(last_words(&output).ends_with("it said last:\nstack overflow"), "{}", last_words(&output));
    }
}
