//! One node of a local cluster as a child process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

/// Set for child processes: they end when their parent does, however that comes about.
pub(crate) const CHILD_MARK: &str = "REGNODE_DEV_CHILD";

/// Variable that `regnode join` takes its token from.
const JOIN_TOKEN: &str = "REGNODE_JOIN_TOKEN";

/// A running node.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    /// 1, 2, 3…
    pub(crate) number: u16,
    /// URL for clients.
    pub(crate) url: String,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    process: Child,
}

impl NodeProcess {
    /// Starts `regnode` with these arguments, output appended to `log`. The join token goes through the environment,
    /// where other users of the machine cannot read it.
    pub(crate) fn start(
        number: u16,
        url: String,
        log: PathBuf,
        arguments: &[String],
        token: Option<String>,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("finding the program's own path")?;
        let output = append_to(&log).with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().context("opening the log twice")?;
        #[expect(clippy::disallowed_methods, reason = "a local cluster consists of processes")]
        let process = Command::new(program)
            .args(arguments)
            .env(CHILD_MARK, "1")
            .envs(token.map(|token| (JOIN_TOKEN, token)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A group of its own: ctrl-c reaches this process alone, which then ends the nodes in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting node {number}"))?;
        Ok(Self { number, url, log, process })
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether it has ended already.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Asks it to shut down.
    pub(crate) fn terminate(&self) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may just have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Waits for its end, and kills it when that takes too long.
    pub(crate) async fn finish(mut self, deadline: Duration) {
        if tokio::time::timeout(deadline, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

/// A child's output needs a file of the operating system's, not one of the file seam.
#[expect(clippy::disallowed_methods, reason = "see above")]
fn append_to(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::options().create(true).append(true).open(path)
}

/// In a child process: arranges to be terminated when the parent goes.
#[expect(clippy::disallowed_methods, reason = "a mark between processes, no setting")]
pub(crate) fn follow_parent() {
    if std::env::var_os(CHILD_MARK).is_some() {
        // Without it the node merely outlives its parent, so a refusal is no reason to stop.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    }
}
