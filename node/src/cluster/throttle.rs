//! How much work this node does for callers whom it does not know: so many at a time, so many a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Work at one time.
const AT_ONCE: usize = 4;
/// Time per piece of work, in the long run.
const INTERVAL: Duration = Duration::from_millis(200);
/// Pieces of work that may begin at once after a pause.
const BURST: u32 = 5;

/// A bound on work.
#[derive(Debug)]
pub(super) struct Throttle {
    running: Semaphore,
    /// When the work that was let in so far would be over at an even pace.
    paid_until: Mutex<Instant>,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self { running: Semaphore::new(AT_ONCE), paid_until: Mutex::new(Instant::now()) }
    }

    /// Lets one piece of work in, which ends with the permit; `None` when it is too much.
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.running.try_acquire().ok()?;
        let now = Instant::now();
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*paid_until).max(now);
        if begin > now + INTERVAL * (BURST - 1) {
            return None;
        }
        *paid_until = begin + INTERVAL;
        Some(permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_let_in_at_an_even_pace_after_a_burst() {
        let throttle = Throttle::new();
        let count = || (0..100).filter(|_| throttle.enter().is_some()).count();
        assert_eq!(count(), 5);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(count(), 1);
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(count(), 3);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn little_is_done_at_one_time() {
        let throttle = Throttle::new();
        let mut running: Vec<_> = (0..AT_ONCE).map(|_| throttle.enter().unwrap()).collect();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(throttle.enter().is_none());
        running.pop();
        assert!(throttle.enter().is_some());
    }
}
