//! The one helper for blocking and CPU-heavy work: a thread pool in production, inline in the simulator.
//!
//! Threads are not deterministic, so the simulator runs the same closures on the caller's own task. Nothing else in
//! the project may start a thread or call `spawn_blocking`; `clippy.toml` holds that.

use std::future::pending;
use std::panic::resume_unwind;

/// Runs closures that block or that burn CPU, off the asynchronous threads.
#[derive(Clone, Copy, Debug)]
pub struct Exec {
    mode: Mode,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Threads,
    Inline,
}

impl Exec {
    /// Work runs on tokio's blocking threads.
    #[must_use]
    pub const fn threads() -> Self {
        Self { mode: Mode::Threads }
    }

    /// Work runs at once on the caller's task: deterministic, for simulation and tests.
    #[must_use]
    pub const fn inline() -> Self {
        Self { mode: Mode::Inline }
    }

    /// Runs `work` and returns what it returns. A panic inside `work` continues in the caller.
    ///
    /// With threads, dropping the returned future does not stop work that has begun. While the runtime shuts down
    /// the future may stay pending for ever.
    pub async fn run<T, F>(self, work: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.mode {
            Mode::Inline => work(),
            #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
            Mode::Threads => match tokio::task::spawn_blocking(work).await {
                Ok(value) => value,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_cancelled) => pending().await,
                },
            },
        }
    }
}
