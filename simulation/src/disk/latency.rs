//! The virtual time that disk operations take.
//!
//! Operations are plain calls that cannot wait. They add up here, for each thread, what they would have taken, and
//! [`storage::exec::Exec::delayed`] makes the task that ran them wait for it. What is done outside of `Exec`, such as
//! the small writes of the log that run inline, takes no time: the next run of `Exec` forgets it.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static IO_TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time of the operations of this thread since the last call. Given to [`storage::exec::Exec::delayed`].
#[must_use]
pub fn take_io_time() -> Duration {
    IO_TIME.take()
}

/// An operation takes this long.
pub(super) fn spend(time: Duration) {
    IO_TIME.set(IO_TIME.get().saturating_add(time));
}

/// An operation lasts at least until this moment of virtual time, and says whether it had to wait for it.
pub(super) fn spend_until(moment: Duration) -> bool {
    let spent = IO_TIME.get();
    let rest = moment.saturating_sub(now().saturating_add(spent));
    spend(rest);
    !rest.is_zero()
}

/// Virtual time at which the operations of this thread so far are over.
pub(super) fn moment() -> Duration {
    now().saturating_add(IO_TIME.get())
}

/// Virtual time since the run began; it stands still outside of a simulation.
pub(super) fn now() -> Duration {
    if turmoil::in_simulation() { turmoil::sim_elapsed().unwrap_or_default() } else { Duration::ZERO }
}
