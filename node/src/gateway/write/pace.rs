//! How fast the background works: within a budget per second that all jobs of a kind share, and no more than half of the
//! time while any node serves clients. Bytes are counted where extents are moved and written anew, things where garbage
//! goes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::gateway::core::Core;

/// Longest rest of a job for the sake of clients, at one time.
const YIELD_MAX: Duration = Duration::from_secs(1);

/// Tokens: what may be done now. Goes below zero, and who took it there waits until it is zero again.
#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// The budget that the jobs share.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Zero: without limit.
    per_second: u64,
    bucket: Mutex<Bucket>,
}

impl Pace {
    /// A budget of so much per second: of bytes, those read and written together; zero is without limit.
    pub(crate) fn new(per_second: u64) -> Arc<Self> {
        Arc::new(Self { per_second, bucket: Mutex::new(Bucket { level: 0.0, at: Instant::now() }) })
    }

    /// A job within the budget.
    pub(crate) fn stint(self: &Arc<Self>) -> Stint {
        Stint { pace: Some(Arc::clone(self)), since: Instant::now(), read_bytes: 0, written_bytes: 0 }
    }

    /// Takes so much out of the budget. Returns how long to wait for it.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
    fn take(&self, amount: u64, now: Instant) -> Duration {
        if self.per_second == 0 {
            return Duration::ZERO;
        }
        let rate = self.per_second as f64;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.saturating_duration_since(bucket.at).as_secs_f64() * rate;
        // What was not used for more than a second is forgotten.
        bucket.level = (bucket.level + earned).min(rate) - amount as f64;
        bucket.at = now;
        Duration::from_secs_f64((-bucket.level / rate).max(0.0))
    }
}

/// One job: what it has moved, and its rests.
#[derive(Debug)]
pub(crate) struct Stint {
    pace: Option<Arc<Pace>>,
    since: Instant,
    /// Bytes of blocks that were read.
    pub(crate) read_bytes: u64,
    /// Bytes of blocks that were written.
    pub(crate) written_bytes: u64,
}

impl Stint {
    /// A job that somebody waits for: it never rests.
    pub(crate) fn urgent() -> Self {
        Self { pace: None, since: Instant::now(), read_bytes: 0, written_bytes: 0 }
    }

    /// So much was moved since the last call. Waits until more may be.
    pub(crate) async fn moved(&mut self, core: &Core, read_bytes: u64, written_bytes: u64) {
        self.read_bytes += read_bytes;
        self.written_bytes += written_bytes;
        self.done(core, read_bytes.saturating_add(written_bytes)).await;
    }

    /// So much was done since the last call. Waits until more may be.
    pub(crate) async fn done(&mut self, core: &Core, amount: u64) {
        let Some(pace) = &self.pace else { return };
        let yielded =
            if core.roster.clients_are_served() { self.since.elapsed().min(YIELD_MAX) } else { Duration::ZERO };
        let rest = pace.take(amount, Instant::now()).max(yielded);
        if !rest.is_zero() {
            sleep(rest).await;
        }
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn jobs_share_what_a_second_gives() {
        let pace = Pace::new(1000);
        let began = Instant::now();
        let mut moved = 0;
        while began.elapsed() < Duration::from_secs(10) {
            let wait = pace.take(300, Instant::now()).max(pace.take(200, Instant::now()));
            moved += 500;
            sleep(wait).await;
        }
        assert!((10_000..=10_500).contains(&moved), "{moved}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_hour_saves_up_one_second() {
        let pace = Pace::new(1000);
        pace.take(1, Instant::now());
        sleep(Duration::from_hours(1)).await;
        assert_eq!(pace.take(1000, Instant::now()), Duration::ZERO);
        assert_eq!(pace.take(1000, Instant::now()), Duration::from_secs(1));
        assert_eq!(Pace::new(0).take(u64::MAX, Instant::now()), Duration::ZERO);
    }
}
