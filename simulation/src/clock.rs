//! The wall clock of a simulated computer: turmoil's virtual time, with an offset that can be changed and a rate that
//! can be wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft::time::{Clock, Timestamp};

/// Millionths, in which a drift is given; also the microseconds of a second.
const MILLION: i128 = 1_000_000;

/// A wall clock. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct SimulatedClock {
    state: Arc<Mutex<State>>,
}

/// How far the clock is from virtual time. Microseconds, so that a small drift over a short time counts.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    offset_microseconds: i128,
    drift_parts_per_million: i64,
    /// Virtual time at which the drift was set.
    drifting_since_microseconds: i128,
}

impl State {
    /// What the clock shows at a moment of virtual time.
    fn shown(&self, now: i128) -> i128 {
        let drifted = (now - self.drifting_since_microseconds) * i128::from(self.drift_parts_per_million) / MILLION;
        now + self.offset_microseconds + drifted
    }

    /// Runs at another rate from this moment on, and shows the same at it.
    fn drift(&mut self, parts_per_million: i64, now: i128) {
        self.offset_microseconds = self.shown(now) - now;
        self.drift_parts_per_million = parts_per_million;
        self.drifting_since_microseconds = now;
    }
}

fn virtual_microseconds() -> i128 {
    i128::try_from(turmoil::since_epoch().unwrap_or_default().as_micros()).unwrap_or(i128::MAX)
}

impl SimulatedClock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps the clock forward, or back.
    pub fn step_milliseconds(&self, step: i64) {
        self.state().offset_microseconds += i128::from(step) * 1000;
    }

    /// Lets the clock gain or lose this much from now on; it shows the same time at this moment. Must be called from
    /// within the simulation.
    pub fn set_drift_parts_per_million(&self, drift: i64) {
        self.state().drift(drift, virtual_microseconds());
    }

    /// Sets the clock right: it shows virtual time, at its rate.
    pub fn reset(&self) {
        *self.state() = State::default();
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let shown = self.state().shown(virtual_microseconds()) / 1000;
        Timestamp(u64::try_from(shown.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = MILLION;

    #[test]
    fn a_drift_begins_without_a_jump_and_what_was_gained_stays() {
        let mut state = State::default();
        state.drift(1000, 100 * SECOND);
        assert_eq!(state.shown(100 * SECOND), 100 * SECOND);
        assert_eq!(state.shown(110 * SECOND), 110 * SECOND + 10_000);
        state.drift(-2000, 110 * SECOND);
        assert_eq!(state.shown(110 * SECOND), 110 * SECOND + 10_000);
        assert_eq!(state.shown(120 * SECOND), 120 * SECOND - 10_000);
        state.drift(0, 120 * SECOND);
        assert_eq!(state.shown(500 * SECOND), 500 * SECOND - 10_000);
    }

    #[test]
    fn steps_add_up_and_a_reset_undoes_them() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&seen);
        let mut simulation = turmoil::Builder::new().build();
        simulation.client("client", async move {
            let (clock, right) = (SimulatedClock::default(), SimulatedClock::default());
            let note = || {
                let difference = i128::from(clock.now().0) - i128::from(right.now().0);
                shown.lock().unwrap().push(difference);
            };
            clock.step_milliseconds(5000);
            clock.step_milliseconds(-7000);
            note();
            clock.set_drift_parts_per_million(100_000);
            note();
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            note();
            clock.reset();
            note();
            Ok(())
        });
        simulation.run().unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen[..2], [-2000, -2000]);
        assert!((-1001..=-999).contains(&seen[2]), "{seen:?}");
        assert_eq!(seen[3], 0);
    }
}
