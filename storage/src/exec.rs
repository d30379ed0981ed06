//! The one helper for blocking and CPU-heavy work: a thread pool in production, inline in the simulator.
//!
//! Threads are not deterministic, so the simulator runs the same closures on the caller's own task. Nothing else in
//! the project may start a thread or call `spawn_blocking`; `clippy.toml` holds that.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

/// Runs closures that block or that burn CPU, off the asynchronous threads.
#[derive(Clone, Copy, Debug)]
pub struct Exec {
    mode: Mode,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Threads,
    Inline,
    Delayed(fn() -> Duration),
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

    /// Work runs at once on the caller's task, and its caller then waits in tokio's time for as long as simulated disks
    /// took for it. `take_io_time` returns the time of the operations that this thread did since it was last asked, and
    /// forgets it. What was done outside of [`run`](Self::run) is forgotten when the next work begins: nobody waits for
    /// it, least of all another task.
    ///
    /// Work whose caller went away before the wait was over has been done all the same.
    #[must_use]
    pub const fn delayed(take_io_time: fn() -> Duration) -> Self {
        Self { mode: Mode::Delayed(take_io_time) }
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
            Mode::Delayed(take_io_time) => {
                let _nobody_waits_for_it = take_io_time();
                let value = work();
                let io_time = take_io_time();
                if !io_time.is_zero() {
                    tokio::time::sleep(io_time).await;
                }
                value
            }
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

    /// Runs `work`, which asks now and then whether anybody still waits for it: it ends early once the returned future is
    /// dropped.
    pub async fn run_while<T, F>(self, work: F) -> T
    where
        F: FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
        T: Send + 'static,
    {
        let waiting = Arc::new(());
        let seen = Arc::downgrade(&waiting);
        let value = self.run(move || work(&|| seen.strong_count() > 0)).await;
        drop(waiting);
        value
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    thread_local! {
        static IO_TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    const TOOK: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn the_caller_waits_for_as_long_as_the_io_took() {
        let begun = Instant::now();
        let exec = Exec::delayed(|| IO_TIME.take());
        let answer = exec.run(|| {
            IO_TIME.set(TOOK);
            7
        });
        assert_eq!(answer.await, 7);
        assert!(begun.elapsed() >= TOOK);
        assert_eq!(IO_TIME.get(), Duration::ZERO);
    }

    #[tokio::test]
    async fn work_is_told_when_nobody_waits_for_it_any_more() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let work = Exec::threads().run_while(move |goes_on| {
            assert!(goes_on());
            begun.send(()).unwrap();
            while goes_on() {
                std::hint::spin_loop();
            }
            ended.send(()).unwrap();
        });
        tokio::select! {
            () = work => unreachable!("it is waited for"),
            begun = has_begun => begun.unwrap(),
        }
        tokio::time::timeout(Duration::from_secs(10), has_ended).await.expect("it ends").unwrap();
        assert_eq!(Exec::inline().run_while(|goes_on| u8::from(goes_on())).await, 1);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_was_done_outside() {
        IO_TIME.set(Duration::MAX);
        Exec::delayed(|| IO_TIME.take()).run(|| ()).await;
    }
}
