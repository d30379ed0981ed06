//! Everything that must hold in a catalog at any time, found out by reading all of it.
//!
//! For checks of a store at rest and for the simulator: the cost is proportional to the catalog, the memory to its namespaces. Tables
//! are walked page by page; what a row says of other rows is looked up there, and the other way round. The state must not
//! change meanwhile. Nothing is repaired here.
//!
//! `names` is about what clients name, `past` about what is kept of it, `blobs` about references and visibility, `bytes`
//! about what blobs consist of, `usage` about what each namespace uses, `queues` about what waits and about the counts, `jobs` about what is
//! said of namespaces, deletion jobs and retention, `replication` about what is owed to copies.

mod blobs;
mod bytes;
mod jobs;
mod names;
mod past;
mod queues;
mod replication;
mod usage;

use std::fmt;

use storage::kv::Scan;

use super::garbage::GarbageItem;
use super::record::ClockRecord;
use super::table::{CatalogClock, GarbageDeadlines};
use crate::key::Key;
use crate::machine::{ApplyError, State};
use crate::table::{KeyRef, StateError, Table, Value};
use crate::time::Timestamp;

/// Rows of one page.
const PAGE_ROWS: usize = 256;

/// Something that should hold and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What should hold.
    pub invariant: &'static str,
    /// Where it does not, with names and values.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.invariant, self.text)
    }
}

/// Reads a whole catalog and returns what does not hold in it, at most `limit` findings.
///
/// # Errors
/// When the engine fails. A row that cannot be decoded is a finding.
pub fn audit(state: &impl State, limit: usize) -> Result<Vec<Finding>, StateError> {
    let fresh = ClockRecord {
        now: Timestamp(0),
        next_sequence: 1,
        first_sequence: 1,
        first_event: Timestamp(0),
        next_generation: 1,
        first_request_expiry: None,
        first_garbage: Timestamp(0),
    };
    let mut audit = Audit { state, clock: fresh, findings: Vec::new(), limit };
    if let Some(clock) = audit.get::<CatalogClock>(())? {
        audit.clock = clock;
    }
    let counts = names::audit(&mut audit)?;
    past::audit(&mut audit)?;
    blobs::audit(&mut audit)?;
    usage::audit(&mut audit)?;
    bytes::audit(&mut audit)?;
    queues::audit(&mut audit, &counts)?;
    jobs::audit(&mut audit)?;
    replication::audit(&mut audit)?;
    Ok(audit.findings)
}

/// An audit in progress.
struct Audit<'a, S> {
    state: &'a S,
    clock: ClockRecord,
    findings: Vec<Finding>,
    limit: usize,
}

impl<S: State> Audit<'_, S> {
    /// Records a finding unless it holds.
    fn expect(&mut self, holds: bool, invariant: &'static str, text: impl FnOnce() -> String) {
        if !holds && self.findings.len() < self.limit {
            self.findings.push(Finding { invariant, text: text() });
        }
    }

    /// A row. One that cannot be decoded is missing: the walk over its table reports it.
    fn get<T: Table>(&self, key: KeyRef<'_, T>) -> Result<Option<T::Value>, StateError> {
        match T::get(self.state, key) {
            Err(ApplyError::Codec(_)) => Ok(None),
            result => result,
        }
    }

    fn contains<T: Table>(&self, key: KeyRef<'_, T>) -> Result<bool, StateError> {
        T::contains(self.state, key)
    }

    /// Visits all rows of a table, in order.
    fn each<T: Table>(
        &mut self,
        visit: impl FnMut(&mut Self, T::Key, T::Value) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        self.each_of::<T, ()>((), visit)
    }

    /// Visits the rows whose keys begin with `prefix`, in order.
    fn each_of<T: Table, P: Key>(
        &mut self,
        prefix: P::Ref<'_>,
        mut visit: impl FnMut(&mut Self, T::Key, T::Value) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut scan = Scan::prefix(T::COLUMN, &T::key::<P>(prefix), PAGE_ROWS);
        loop {
            let pairs = self.state.scan(&scan)?;
            let Some((last, _)) = pairs.last() else { return Ok(()) };
            scan = scan.after(last);
            for (key, value) in pairs {
                match T::read_key(&key).and_then(|read| Ok((read, T::Value::from_bytes(value)?))) {
                    Ok((key, value)) => visit(self, key, value)?,
                    Err(error) => self.expect(false, "every row can be read", || {
                        format!("{} of the {}: {error}", hex::encode(&key), T::NAME)
                    }),
                }
            }
        }
    }

    /// Number of rows whose keys begin with `prefix`.
    fn count<T: Table, P: Key>(&mut self, prefix: P::Ref<'_>) -> Result<u64, StateError> {
        let mut count = 0;
        self.each_of::<T, P>(prefix, |_, _, _| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// The garbage queue holds exactly what nothing holds.
    fn expect_queued(&mut self, item: &GarbageItem, expected: bool) -> Result<(), StateError> {
        let queued = self.contains::<GarbageDeadlines>(item)?;
        self.expect(queued == expected, "the garbage queue holds exactly what nothing holds", || {
            format!("{item:?} is {} the queue", if queued { "in" } else { "not in" })
        });
        Ok(())
    }
}
