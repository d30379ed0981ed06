//! What the node that copies remembers of a scope besides what the catalog has: when the source answered, what is under
//! way, what it waits for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::report::Observed;
use crate::background::Rate;

/// What is remembered of a scope.
#[derive(Debug, Default)]
pub(super) struct ScopeState {
    seen: Mutex<Seen>,
    /// Bytes that came since this node copies it.
    arrived_bytes: AtomicU64,
    /// Bytes that are known to be missing still of what is being fetched.
    left_bytes: AtomicU64,
    /// Told when debts were taken in.
    pub(super) owed: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    /// When the source answered last, and how many events there were behind those taken in.
    answered: Option<(Instant, u64)>,
    /// What questions wait for.
    asking: Option<String>,
    /// What debts wait for.
    paying: Option<String>,
    rate: Rate,
}

impl ScopeState {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source has answered, its answer is taken in, and so many events stand behind it.
    pub(super) fn answered(&self, behind: u64) {
        let mut seen = self.seen();
        seen.answered = Some((Instant::now(), behind));
        seen.asking = None;
    }

    /// Questions wait for something.
    pub(super) fn asking_waits(&self, trouble: String) {
        self.seen().asking = Some(trouble);
    }

    /// Debts wait for something, or for nothing any more.
    pub(super) fn paying_waits(&self, trouble: Option<String>) {
        self.seen().paying = trouble;
    }

    /// Begins a transfer of so many bytes.
    pub(super) fn transfer(&self, bytes: u64) -> Transfer<'_> {
        self.left_bytes.fetch_add(bytes, Ordering::Relaxed);
        Transfer { state: self, left_bytes: bytes, arrived_bytes: 0 }
    }

    /// What there is to tell. `is_wanted` says whether the catalog's record is of the scope that is wanted now.
    pub(super) fn observed(&self, is_wanted: bool) -> Observed {
        let now = Instant::now();
        let mut seen = self.seen();
        let bytes_per_second = seen.rate.observe(self.arrived_bytes.load(Ordering::Relaxed), now);
        Observed {
            answered_seconds: seen.answered.map(|(at, _)| now.saturating_duration_since(at).as_secs()),
            behind_events: seen.answered.map(|(_, behind)| behind),
            trouble: seen.asking.clone().or_else(|| seen.paying.clone()),
            debt_bytes: self.left_bytes.load(Ordering::Relaxed),
            bytes_per_second,
            is_wanted,
        }
    }
}

/// A transfer that is under way. What it has not brought when it is dropped is not under way any more.
#[derive(Debug)]
pub(super) struct Transfer<'a> {
    state: &'a ScopeState,
    left_bytes: u64,
    arrived_bytes: u64,
}

impl Transfer<'_> {
    /// So many bytes have come.
    pub(super) fn arrived(&mut self, bytes: u64) {
        let counted = bytes.min(self.left_bytes);
        self.left_bytes -= counted;
        self.arrived_bytes += bytes;
        self.state.left_bytes.fetch_sub(counted, Ordering::Relaxed);
        self.state.arrived_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that it has brought.
    pub(super) const fn arrived_bytes(&self) -> u64 {
        self.arrived_bytes
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.state.left_bytes.fetch_sub(self.left_bytes, Ordering::Relaxed);
    }
}
