//! Time as the state machines see it: milliseconds, stamped into each command by the leader.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment plus a number of seconds.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

/// Most seconds by which one command can move a state machine's clock: a wrong clock must not expire every grace.
pub const MAX_JUMP_SECONDS: u64 = 3600;

/// A state machine's next time: never backwards, and never far ahead at once. The first stamp is taken as it is. After
/// a longer silence each command catches up by at most [`MAX_JUMP_SECONDS`].
#[must_use]
pub fn advance(previous: Option<Timestamp>, stamped: Timestamp) -> Timestamp {
    match previous {
        None => stamped,
        Some(previous) => stamped.clamp(previous, previous.plus_seconds(MAX_JUMP_SECONDS)),
    }
}

/// Seconds by which a state machine's clock may be behind without anybody minding.
const TOLERATED_SECONDS: u64 = 60;

/// How many commands it takes to bring a state machine's clock to within a minute of `now`. After a long silence each
/// moves it by [`MAX_JUMP_SECONDS`] only; a clock that never ran takes the first stamp as it is.
#[must_use]
pub const fn ticks_behind(clock: Timestamp, now: Timestamp) -> u64 {
    let behind = now.0.saturating_sub(clock.0);
    if behind <= TOLERATED_SECONDS * 1000 {
        0
    } else if clock.0 == 0 {
        1
    } else {
        behind.div_ceil(MAX_JUMP_SECONDS * 1000)
    }
}

crate::versioned! {
    Timestamp = 1, "timestamp";
}

/// A wall clock. The environment implements it; state machines never see it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_ticks_as_needed_bring_the_clock_to_the_present() {
        let begin = Timestamp(1_000_000);
        assert_eq!(ticks_behind(begin, Timestamp(5)), 0);
        assert_eq!(ticks_behind(begin, begin.plus_seconds(60)), 0);
        assert_eq!(ticks_behind(begin, begin.plus_seconds(61)), 1);
        assert_eq!(ticks_behind(Timestamp::default(), begin), 1);
        for seconds in [3600, 3601, 86_400, 30 * 86_400 + 7] {
            let now = begin.plus_seconds(seconds);
            let mut clock = begin;
            for _ in 0..ticks_behind(begin, now) {
                assert!(clock < now);
                clock = advance(Some(clock), now);
            }
            assert_eq!(clock, now, "{seconds} seconds");
        }
    }

    #[test]
    fn the_clock_never_goes_back_and_never_jumps_far() {
        assert_eq!(advance(None, Timestamp(5)), Timestamp(5));
        assert_eq!(advance(Some(Timestamp(9)), Timestamp(5)), Timestamp(9));
        assert_eq!(advance(Some(Timestamp(9)), Timestamp(12)), Timestamp(12));
        assert_eq!(advance(Some(Timestamp(9)), Timestamp(u64::MAX)), Timestamp(9 + 3_600_000));
        assert_eq!(advance(Some(Timestamp(u64::MAX - 1)), Timestamp(u64::MAX)), Timestamp(u64::MAX));
    }
}
