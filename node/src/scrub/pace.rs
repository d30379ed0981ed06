//! How fast a scrub reads: fast enough for its period, no faster than need be.

use std::time::Duration;

/// Bytes of each second that are read at least: a small disk is done soon, and a large one is not held up by this.
pub(super) const FLOOR_BYTES_PER_SECOND: u64 = 4 << 20;
/// Longest rest between two reads, so that a pass stays interruptible.
const REST_MAX: Duration = Duration::from_mins(1);

/// How fast a pass should go on that began `elapsed` ago and has `remaining_bytes` left. It plans to be done after nine
/// tenths of the period; one that is late is not made up for in a rush.
pub(super) fn rate(remaining_bytes: u64, elapsed: Duration, period: Duration) -> u64 {
    let target = period / 10 * 9;
    let remaining = target.saturating_sub(elapsed).max(period / 20).max(Duration::from_secs(1));
    (remaining_bytes / remaining.as_secs()).max(FLOOR_BYTES_PER_SECOND)
}

/// Rest after a read of `bytes` that took `took`.
pub(super) fn rest(bytes: u64, took: Duration, bytes_per_second: u64) -> Duration {
    let share = Duration::from_micros(bytes.saturating_mul(1_000_000) / bytes_per_second.max(1));
    share.saturating_sub(took).min(REST_MAX)
}

/// Rest of a forced pass: it takes half of the disk's time.
pub(super) fn forced_rest(took: Duration) -> Duration {
    took.min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const TIB: u64 = 1 << 40;

    #[test]
    fn a_pass_is_spread_over_its_period() {
        let period = DAY * 14;
        let rate_at = |elapsed, remaining| rate(remaining, elapsed, period);
        let begun = rate_at(Duration::ZERO, 20 * TIB);
        assert!((18..=20).contains(&(begun >> 20)), "{begun}");
        assert_eq!(rate_at(period / 10 * 9 / 2, 10 * TIB), begun, "half done in half the time");
        assert!(rate_at(period / 2, 20 * TIB) > begun * 2, "a late one hurries");
        assert!(rate_at(period * 3, 20 * TIB) < begun * 19, "within bounds");
        assert_eq!(rate_at(Duration::ZERO, 1 << 30), FLOOR_BYTES_PER_SECOND);
        assert_eq!(rate(u64::MAX, Duration::MAX, Duration::ZERO), u64::MAX);
    }

    #[test]
    fn the_time_of_the_read_counts() {
        let second = Duration::from_secs(1);
        assert_eq!(rest(4 << 20, second / 4, 4 << 20), second / 4 * 3);
        assert_eq!(rest(4 << 20, second * 2, 4 << 20), Duration::ZERO);
        assert_eq!(rest(u64::MAX, second, 0), REST_MAX);
        assert_eq!(forced_rest(second), second);
    }
}
