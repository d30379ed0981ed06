//! What every command shares: the monotonic clock, totals, generations, and the change feed with its retention.

use super::once;
use crate::catalog::event::{Event, EventKind};
use crate::catalog::limit::{EVENT_RETENTION_SECONDS, EVENTS_TRIMMED_PER_COMMAND};
use crate::catalog::record::{ClockRecord, TotalsRecord};
use crate::catalog::table::{CatalogClock, Feed, Totals};
use crate::id::RequestId;
use crate::machine::{ApplyError, Stamp, Transaction};
use crate::table::{Table, inconsistent};
use crate::time::{self, Timestamp};

/// One command being applied.
#[derive(Debug)]
pub(super) struct Context<'t, 'e> {
    /// The state, with the effects so far.
    pub(super) state: &'t mut Transaction<'e>,
    /// The catalog's time.
    pub(super) now: Timestamp,
    /// The proposer's time, right or wrong.
    pub(super) stamped: Timestamp,
    /// Who asked.
    pub(super) request: RequestId,
    /// Totals, written back at the end.
    pub(super) totals: TotalsRecord,
    totals_before: TotalsRecord,
    /// Clock and counters, written back at the end.
    pub(super) clock: ClockRecord,
}

impl<'t, 'e> Context<'t, 'e> {
    /// Begins a command: moves the clock on.
    pub(super) fn begin(state: &'t mut Transaction<'e>, stamp: Stamp) -> Result<Self, ApplyError> {
        let clock = CatalogClock::get(state, ())?;
        let now = time::advance(clock.map(|clock| clock.now), stamp.time);
        let fresh = ClockRecord {
            now,
            next_sequence: 1,
            first_sequence: 1,
            first_event: now,
            next_generation: 1,
            first_request_expiry: None,
            first_garbage: Timestamp(0),
        };
        let clock = ClockRecord { now, ..clock.unwrap_or(fresh) };
        let totals = Totals::get(state, ())?.unwrap_or_default();
        let (stamped, request) = (stamp.time, stamp.request);
        Ok(Self { state, now, stamped, request, totals_before: totals.clone(), totals, clock })
    }

    /// Adds an event to the feed and returns its sequence number.
    pub(super) fn emit(&mut self, kind: EventKind) -> u64 {
        let sequence = self.clock.next_sequence;
        if self.clock.first_sequence == sequence {
            self.clock.first_event = self.now;
        }
        self.clock.next_sequence += 1;
        Feed::put(self.state, &sequence, &Event { time: self.now, kind });
        sequence
    }

    /// A generation greater than all that were given out.
    pub(super) fn next_generation(&mut self) -> u64 {
        let generation = self.clock.next_generation;
        self.clock.next_generation += 1;
        generation
    }

    /// Ends a command: trims the feed and the remembered requests, writes the clock and the totals.
    pub(super) fn finish(mut self) -> Result<(), ApplyError> {
        self.trim()?;
        once::trim(&mut self)?;
        CatalogClock::put(self.state, (), &self.clock);
        if self.totals != self.totals_before {
            Totals::put(self.state, (), &self.totals);
        }
        Ok(())
    }

    fn trim(&mut self) -> Result<(), ApplyError> {
        let expired = |time: Timestamp| time.plus_seconds(EVENT_RETENTION_SECONDS) <= self.now;
        if self.clock.first_sequence == self.clock.next_sequence || !expired(self.clock.first_event) {
            return Ok(());
        }
        let oldest = Feed::scan_from::<()>(self.state, (), &self.clock.first_sequence, EVENTS_TRIMMED_PER_COMMAND + 1)?;
        for (trimmed, (sequence, event)) in oldest.into_iter().enumerate() {
            if trimmed == EVENTS_TRIMMED_PER_COMMAND || !expired(event.time) {
                self.clock.first_sequence = sequence;
                self.clock.first_event = event.time;
                return Ok(());
            }
            Feed::delete(self.state, &sequence);
        }
        self.clock.first_sequence = self.clock.next_sequence;
        Ok(())
    }
}

/// Takes from a count that must be large enough.
pub(super) fn subtract(count: &mut u64, amount: u64, name: &'static str) -> Result<(), ApplyError> {
    *count = count.checked_sub(amount).ok_or_else(|| inconsistent(name, "a count would sink below zero"))?;
    Ok(())
}
