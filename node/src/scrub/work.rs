//! The scrub of one disk between its two tasks: what is noted, and what goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft::time::Timestamp;
use storage::shard::{DiskId, ShardFault, ShardName};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::notes::{Notes, Pass};
use super::report::{FinishedPass, InventoryReport, ScrubState};

/// Speed is measured over this time.
const METER_WINDOW: Duration = Duration::from_secs(5);

/// One disk's scrub.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) disk: DiskId,
    notes: Mutex<Notes>,
    live: Mutex<Live>,
    /// Somebody has asked for a pass.
    asked: AtomicBool,
    wake: Notify,
}

/// What goes on.
#[derive(Debug)]
struct Live {
    state: ScrubState,
    meter_began: Instant,
    meter_bytes: u64,
    bytes_per_second: u64,
    inventory: InventoryReport,
}

/// What a pass does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Begin { forced: bool },
    Continue,
    Rest,
}

/// Decides by what is noted, whether somebody has asked, and the catalog's clock. A forced pass that runs already is what
/// was asked for.
pub(super) fn next(notes: &Notes, asked: bool, now: Timestamp, period: Duration) -> Next {
    match (&notes.pass, &notes.last) {
        (Some(pass), _) if pass.forced || !asked => Next::Continue,
        (Some(_), _) => Next::Begin { forced: true },
        (None, _) if asked => Next::Begin { forced: true },
        (None, None) => Next::Begin { forced: false },
        (None, Some(last)) => {
            let due = Timestamp(last.started_milliseconds).plus_seconds(period.as_secs());
            if now >= due { Next::Begin { forced: false } } else { Next::Rest }
        }
    }
}

impl Work {
    pub(super) fn new(disk: DiskId, notes: Notes) -> Self {
        let live = Live {
            state: ScrubState::Resting,
            meter_began: Instant::now(),
            meter_bytes: 0,
            bytes_per_second: 0,
            inventory: InventoryReport { orphans: notes.orphans.len() as u64, ..InventoryReport::default() },
        };
        Self {
            disk,
            notes: Mutex::new(notes),
            live: Mutex::new(live),
            asked: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a pass from the beginning.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Rests, but not when somebody asks for a pass meanwhile.
    pub(super) async fn rest(&self, time: Duration) {
        if !time.is_zero() {
            let _asked_or_elapsed = timeout(time, self.wake.notified()).await;
        }
    }

    pub(super) fn set_state(&self, state: ScrubState) {
        let mut live = self.live();
        live.state = state;
        if matches!(state, ScrubState::Resting | ScrubState::Waiting) {
            live.bytes_per_second = 0;
            live.meter_began = Instant::now();
            live.meter_bytes = 0;
        }
    }

    pub(super) fn state(&self) -> ScrubState {
        self.live().state
    }

    pub(super) fn bytes_per_second(&self) -> u64 {
        self.live().bytes_per_second
    }

    /// Begins a pass.
    pub(super) fn begin(&self, now: Timestamp, forced: bool) {
        self.asked.store(false, Ordering::Relaxed);
        self.notes().pass = Some(Pass { started: now, forced, ..Pass::default() });
    }

    /// A request that the running pass answers is settled.
    pub(super) fn settle(&self) {
        if self.notes().pass.is_some_and(|pass| pass.forced) {
            self.asked.store(false, Ordering::Relaxed);
        }
    }

    /// Bytes were read.
    pub(super) fn read(&self, bytes: u64) {
        let mut live = self.live();
        live.meter_bytes += bytes;
        let elapsed = live.meter_began.elapsed();
        if elapsed >= METER_WINDOW {
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            live.bytes_per_second = live.meter_bytes.saturating_mul(1000) / milliseconds;
            live.meter_began = Instant::now();
            live.meter_bytes = 0;
        }
    }

    /// A shard is done with.
    pub(super) fn passed(&self, name: ShardName, seen: &Seen) {
        let mut notes = self.notes();
        let Some(pass) = &mut notes.pass else { return };
        pass.after = Some(name);
        match seen {
            Seen::Whole { bytes } => {
                pass.shards += 1;
                pass.bytes += bytes;
            }
            Seen::Bad { bytes, fault } => {
                pass.shards += 1;
                pass.bytes += bytes;
                pass.found.count(*fault);
            }
            Seen::Skipped => pass.found.skipped += 1,
            Seen::Replaced => {}
        }
    }

    /// The pass has come to its end.
    pub(super) fn finish(&self, now: Timestamp) -> Option<FinishedPass> {
        let mut notes = self.notes();
        let pass = notes.pass.take()?;
        let finished = FinishedPass {
            started_milliseconds: pass.started.0,
            finished_milliseconds: now.0,
            forced: pass.forced,
            shards: pass.shards,
            bytes: pass.bytes,
            found: pass.found,
        };
        notes.last = Some(finished);
        Some(finished)
    }

    pub(super) fn inventory(&self) -> InventoryReport {
        self.live().inventory
    }

    pub(super) fn note_inventory(&self, change: impl FnOnce(&mut InventoryReport)) {
        change(&mut self.live().inventory);
    }
}

/// What a pass saw of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Every block is as it was written.
    Whole { bytes: u64 },
    /// It has to be rebuilt.
    Bad { bytes: u64, fault: ShardFault },
    /// The catalog does not place it here any more.
    Replaced,
    /// Nothing could be found out.
    Skipped,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(1000);

    #[test]
    fn a_pass_begins_when_its_period_is_over_or_somebody_asks() {
        let plan = |notes: &Notes, asked, now| next(notes, asked, Timestamp(now), PERIOD);
        let mut notes = Notes::default();
        assert_eq!(plan(&notes, false, 5), Next::Begin { forced: false });
        notes.pass = Some(Pass::default());
        assert_eq!(plan(&notes, false, 5), Next::Continue);
        assert_eq!(plan(&notes, true, 5), Next::Begin { forced: true });
        notes.pass = Some(Pass { forced: true, ..Pass::default() });
        assert_eq!(plan(&notes, true, 5), Next::Continue);

        let work = Work::new(DiskId([1; 16]), notes);
        work.finish(Timestamp(70_000)).unwrap();
        let notes = work.notes().clone();
        assert_eq!(plan(&notes, false, 999_999), Next::Rest);
        assert_eq!(plan(&notes, false, 1_000_000), Next::Begin { forced: false });
        assert_eq!(plan(&notes, true, 80_000), Next::Begin { forced: true });
    }
}
