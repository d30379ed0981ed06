//! The wall clock of a simulated computer: turmoil's virtual time plus an offset that a scenario may change.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use raft::time::{Clock, Timestamp};

/// A wall clock. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct SimulatedClock {
    offset_milliseconds: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// Steps the clock to this far from virtual time.
    pub fn set_offset_milliseconds(&self, offset: i64) {
        self.offset_milliseconds.store(offset, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let virtual_time = turmoil::since_epoch().unwrap_or_default().as_millis();
        let milliseconds = u64::try_from(virtual_time).unwrap_or(u64::MAX);
        Timestamp(milliseconds.saturating_add_signed(self.offset_milliseconds.load(Ordering::Relaxed)))
    }
}
