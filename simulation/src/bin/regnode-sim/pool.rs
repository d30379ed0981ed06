//! Several runs at once, each in a process of its own.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail};
use futures_util::stream::{self, Stream, StreamExt};
use simulation::report::Report;
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Task;

/// Longest time of a run by the wall clock unless said otherwise, in seconds.
pub(crate) const LIMIT_SECONDS: u64 = 600;

/// How many processes run at once, and how long each may take.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Limits {
    /// Runs at the same time [default: the number of processors].
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// Longest time of a run by the wall clock, in seconds: one that takes longer has failed.
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT_SECONDS)]
    wall_limit: u64,
}

impl Limits {
    /// Runs at the same time.
    #[expect(clippy::disallowed_methods, reason = "how many runs there are at once, outside of every run")]
    pub(crate) fn jobs(&self) -> usize {
        let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.unwrap_or_else(processors).get()
    }

    /// Longest time of a run.
    pub(crate) const fn wall(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.wall_limit)
    }

    /// The reports of these tasks, in their order. What is in progress ends with the stream.
    pub(crate) fn in_order(&self, tasks: impl Iterator<Item = Task>) -> impl Stream<Item = Result<Report>> {
        stream::iter(tasks).map(|task| async move { task.run().await }).buffered(self.jobs())
    }
}

/// Runs a command that starts processes and waits for them.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(command)
}

/// The same; ctrl-c and SIGTERM end the command, and its processes with it.
pub(crate) fn block_on_until_stopped<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    block_on(async {
        tokio::select! {
            biased;
            stopped = stopped() => {
                stopped?;
                bail!("interrupted")
            }
            result = command => result,
        }
    })
}

/// Waits for ctrl-c or SIGTERM.
pub(crate) async fn stopped() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for ctrl-c")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
