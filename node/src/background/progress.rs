//! How far a long operation has come, for people and for programs: what is done, of how much, how fast, and when it ends.
//!
//! A meter is told again and again how much is left, and makes rate and end of that; so any node can tell them from
//! the catalog's totals, whichever node does the work.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Time over which a rate is taken.
const WINDOW: Duration = Duration::from_mins(1);
/// Samples kept for it.
const SAMPLES_MAX: usize = 64;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Extents.
    Extents,
    /// Shards.
    Shards,
    /// Bytes.
    #[default]
    Bytes,
}

/// How far an operation has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is behind it.
    pub done: u64,
    /// All of it, as far as is known by now.
    pub total: u64,
    /// What both count.
    pub unit: Unit,
    /// How much was done in each second of late.
    pub per_second: f64,
    /// Seconds until the end at that rate; `None` while it stands still.
    pub eta_seconds: Option<u64>,
}

/// Makes progress of what is left.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    unit: Unit,
    total: u64,
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// A meter of an operation that has not begun.
    pub(super) const fn new(unit: Unit) -> Self {
        Self { unit, total: 0, samples: VecDeque::new() }
    }

    /// So much is left. When nothing was left and something is again, another operation begins.
    pub(super) fn observe(&mut self, left: u64, now: Instant) -> Progress {
        let before = self.samples.back().map(|(_, left)| *left);
        if before.is_none_or(|before| before == 0) {
            self.samples.clear();
            self.total = left;
        } else if let Some(before) = before.filter(|before| left > *before) {
            // More came to light than was done.
            self.total = self.total.saturating_add(left - before);
        }
        self.samples.push_back((now, left));
        while self.samples.len() > SAMPLES_MAX
            || self.samples.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.samples.pop_front();
        }
        let per_second = self.rate();
        Progress {
            done: self.total - left.min(self.total),
            total: self.total,
            unit: self.unit,
            per_second,
            eta_seconds: eta(left, per_second),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is told to people")]
    fn rate(&self) -> f64 {
        let (Some((began, _)), Some((ended, _))) = (self.samples.front(), self.samples.back()) else { return 0.0 };
        let steps = self.samples.iter().zip(self.samples.iter().skip(1));
        let done: u64 = steps.map(|((_, before), (_, after))| before.saturating_sub(*after)).sum();
        let seconds = ended.saturating_duration_since(*began).as_secs_f64();
        if seconds > 0.0 { done as f64 / seconds } else { 0.0 }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "told to people"
)]
fn eta(left: u64, per_second: f64) -> Option<u64> {
    match left {
        0 => Some(0),
        left => (per_second > 0.0).then(|| (left as f64 / per_second).ceil() as u64),
    }
}

/// How fast a count grows of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// The count stands here. Returns by how much it grew in each second of the last minute.
    #[expect(clippy::cast_precision_loss, reason = "a rate is told to people")]
    pub(crate) fn observe(&mut self, count: u64, now: Instant) -> f64 {
        self.samples.push_back((now, count));
        while self.samples.len() > SAMPLES_MAX
            || self.samples.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.samples.pop_front();
        }
        let Some((began, before)) = self.samples.front() else { return 0.0 };
        let seconds = now.saturating_duration_since(*began).as_secs_f64();
        if seconds > 0.0 { count.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_minute() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert!(rate.observe(1000, start) < 1e-9);
        assert!((rate.observe(1050, start + Duration::from_secs(10)) - 5.0).abs() < 1e-9);
        assert!(rate.observe(1050, start + Duration::from_secs(100)) < 1e-9);
    }

    #[test]
    fn rate_and_end_follow_from_what_is_left() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut meter = Meter::new(Unit::Shards);
        let first = meter.observe(100, start);
        assert_eq!((first.done, first.total, first.eta_seconds), (0, 100, None));
        let second = meter.observe(80, at(10));
        assert_eq!((second.done, second.total, second.eta_seconds), (20, 100, Some(40)));
        assert!((second.per_second - 2.0).abs() < 1e-9);
        let grown = meter.observe(90, at(20));
        assert_eq!((grown.done, grown.total, grown.eta_seconds), (20, 110, Some(90)));
        let ended = meter.observe(0, at(30));
        assert_eq!((ended.done, ended.total, ended.eta_seconds), (110, 110, Some(0)));
        let another = meter.observe(7, at(40));
        assert_eq!((another.done, another.total), (0, 7));
    }

    #[test]
    fn what_stood_still_for_a_minute_has_no_end() {
        let start = Instant::now();
        let mut meter = Meter::new(Unit::Bytes);
        meter.observe(10, start);
        meter.observe(5, start + Duration::from_secs(1));
        let mut last = meter.observe(5, start + Duration::from_secs(2));
        for second in 3..120 {
            last = meter.observe(5, start + Duration::from_secs(second));
        }
        assert_eq!((last.eta_seconds, last.done), (None, 5));
    }
}
