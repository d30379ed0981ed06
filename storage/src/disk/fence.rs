//! When a disk that fails is taken out of use, and when it is given another chance.
//!
//! Too many failed calls in a minute fence a disk. It comes back by itself after a probation without a failure, so that
//! a cable that was put back needs nobody; each further fencing doubles the probation, so that a dying disk stays out,
//! until it has been well for ten times as long.
//! Damaged blocks do not fence: they are healed where they lie, and their cause may be long gone.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Failures are counted over this time.
const WINDOW: Duration = Duration::from_mins(1);
/// So many within it fence the disk.
const FAILURES_MAX: usize = 16;
/// Time without a failure after the first fencing.
const PROBATION: Duration = Duration::from_secs(15);
/// The longest one.
const PROBATION_MAX: Duration = Duration::from_hours(1);
/// After so many probations without a failure, what was before is forgotten.
const FORGOTTEN_AFTER: u32 = 10;

/// The failures of one disk.
#[derive(Debug, Default)]
pub(super) struct Fence {
    recent: VecDeque<Instant>,
    last: Option<Instant>,
    fenced: bool,
    /// How often it was fenced.
    times: u32,
}

impl Fence {
    /// A call failed. Whether this fences the disk.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let forgotten = self.probation() * FORGOTTEN_AFTER;
        if !self.fenced && self.last.is_some_and(|last| now.saturating_duration_since(last) >= forgotten) {
            self.times = 0;
        }
        self.last = Some(now);
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) > WINDOW)
            || self.recent.len() > FAILURES_MAX
        {
            self.recent.pop_front();
        }
        let begins = !self.fenced && self.recent.len() >= FAILURES_MAX;
        if begins {
            self.fenced = true;
            self.times = self.times.saturating_add(1);
        }
        begins
    }

    /// Whether the disk is out of use.
    pub(super) const fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// The disk answered everything that it was asked just now. Whether this ends the fencing.
    pub(super) fn passed(&mut self, now: Instant) -> bool {
        let probation = self.probation();
        let quiet = self.last.is_none_or(|last| now.saturating_duration_since(last) >= probation);
        let ends = self.fenced && quiet;
        if ends {
            self.fenced = false;
            self.recent.clear();
        }
        ends
    }

    fn probation(&self) -> Duration {
        PROBATION.saturating_mul(1 << self.times.saturating_sub(1).min(16)).min(PROBATION_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(fence: &mut Fence, now: Instant) -> bool {
        (0..FAILURES_MAX).any(|_| fence.failed(now))
    }

    #[test]
    fn rare_failures_do_not_fence() {
        let (mut fence, mut now) = (Fence::default(), Instant::now());
        for _ in 0..1000 {
            now += WINDOW / 10;
            assert!(!fence.failed(now));
        }
        assert!(!fence.is_fenced());
    }

    #[test]
    fn repeated_failures_fence_until_a_quiet_probation_is_over() {
        let (mut fence, begin) = (Fence::default(), Instant::now());
        assert!(fail(&mut fence, begin) && fence.is_fenced());
        assert!(!fence.passed(begin + PROBATION / 2));
        fence.failed(begin + PROBATION / 2);
        assert!(!fence.passed(begin + PROBATION), "a failure begins it anew");
        assert!(fence.passed(begin + PROBATION / 2 + PROBATION) && !fence.is_fenced());
    }

    #[test]
    fn each_fencing_lasts_longer_until_the_past_is_forgotten() {
        let (mut fence, mut now) = (Fence::default(), Instant::now());
        for probation in [15, 30, 60, 120].map(Duration::from_secs) {
            assert!(fail(&mut fence, now));
            assert!(!fence.passed(now + probation - Duration::from_secs(1)));
            now += probation;
            assert!(fence.passed(now));
        }
        for _ in 0..20 {
            assert!(fail(&mut fence, now));
            now += PROBATION_MAX;
            assert!(fence.passed(now), "the longest one is bounded");
        }
        now += PROBATION_MAX * FORGOTTEN_AFTER;
        fence.failed(now);
        assert!(fail(&mut fence, now) && fence.passed(now + PROBATION));
    }
}
