//! How the log is: whether it can be written, and what could not be.

use std::sync::{Mutex, MutexGuard, PoisonError};

use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How a node's audit log is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditState {
    /// Number of the newest record on disk; 0: there is none.
    pub sequence: u64,
    /// Why nothing can be written at present, and since when in milliseconds since the Unix epoch.
    pub stuck: Option<(String, u64)>,
    /// Events since the node's start that were not written, since nothing could be.
    pub lost: u64,
    /// When the last one of them was, milliseconds since the Unix epoch.
    pub lost_last_milliseconds: Option<u64>,
    /// Bytes of all segments.
    pub bytes: u64,
}

impl AuditState {
    /// How long lost records are an alarm, once everything is written again.
    const ALARM_MILLISECONDS: u64 = 24 * 3600 * 1000;

    /// Whether an operator should know: nothing can be written, or something was lost within a day.
    #[must_use]
    pub fn is_alarming(&self, now: Timestamp) -> bool {
        let of_late = |last: u64| now.0.saturating_sub(last) < Self::ALARM_MILLISECONDS;
        self.stuck.is_some() || self.lost_last_milliseconds.is_some_and(of_late)
    }
}

/// Events that could not be written, of which the log does not say so yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untold {
    pub(super) events: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

#[derive(Debug, Default)]
struct Inner {
    shown: AuditState,
    untold: Option<Untold>,
}

/// The state, shared by those who record and the writer.
#[derive(Debug, Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
}

impl State {
    pub(super) fn look(&self) -> AuditState {
        self.hold().shown.clone()
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.hold().shown.stuck.is_some()
    }

    /// Nothing can be written. Whether that is news.
    pub(super) fn stuck(&self, time: Timestamp, why: String) -> bool {
        let stuck = &mut self.hold().shown.stuck;
        let news = stuck.is_none();
        // The reason may become clearer; since when stays.
        let since = stuck.as_ref().map_or(time.0, |(_, since)| *since);
        *stuck = Some((why, since));
        news
    }

    /// Something was written. Whether nothing could be before.
    pub(super) fn written(&self, sequence: u64, bytes: u64) -> bool {
        let mut inner = self.hold();
        inner.shown.sequence = sequence;
        inner.shown.bytes = bytes;
        inner.shown.stuck.take().is_some()
    }

    /// An event is left out.
    pub(super) fn lose(&self, time: Timestamp) {
        let mut inner = self.hold();
        inner.shown.lost += 1;
        inner.shown.lost_last_milliseconds = Some(time.0);
        let untold = inner.untold.get_or_insert(Untold { events: 0, first: time, last: time });
        untold.events += 1;
        untold.last = time;
    }

    /// What was left out since this was asked last, for the log.
    pub(super) fn take_untold(&self) -> Option<Untold> {
        self.hold().untold.take()
    }

    /// How many that would tell of.
    pub(super) fn untold_events(&self) -> u64 {
        self.hold().untold.map_or(0, |untold| untold.events)
    }

    fn hold(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_once_and_counted_for_good() {
        let state = State::default();
        assert_eq!(state.take_untold(), None);
        assert!(state.stuck(Timestamp(1), "full".to_owned()));
        assert!(!state.stuck(Timestamp(2), "still full".to_owned()));
        state.lose(Timestamp(3));
        state.lose(Timestamp(4));
        assert!(state.written(7, 100));
        assert!(!state.written(8, 200));
        let untold = Untold { events: 2, first: Timestamp(3), last: Timestamp(4) };
        assert_eq!((state.take_untold(), state.take_untold()), (Some(untold), None));
        let shown = state.look();
        assert_eq!((shown.sequence, shown.lost, shown.lost_last_milliseconds, shown.bytes), (8, 2, Some(4), 200));
        assert_eq!(shown.stuck, None);
    }

    #[test]
    fn since_when_it_is_stuck_stays() {
        let state = State::default();
        state.stuck(Timestamp(1), "a".to_owned());
        state.stuck(Timestamp(2), "b".to_owned());
        assert_eq!(state.look().stuck, Some(("b".to_owned(), 1)));
    }
}
