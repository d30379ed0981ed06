//! The catalog's read side: typed reads over a group's state engine or over a transaction.
//!
//! Each method is one point read or one bounded scan; none looks through the store. A view says what this replica has
//! applied: who needs more asks the group for a read barrier first. Two calls may see two states, so a row that another
//! one named can be gone.

mod bytes;
mod content;
mod damage;
mod history;
mod jobs;
mod leaving;
mod placements;
mod policies;
mod queues;
mod replication;
mod residency;

pub use damage::{BlobUse, Damage, ManifestNames};

use super::record::TotalsRecord;
use super::table::{CatalogClock, Totals};
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

/// Reads of one catalog.
#[derive(Clone, Debug)]
pub struct View<S> {
    state: S,
}

impl<S: State> View<S> {
    /// A view of this state.
    pub fn new(state: S) -> Self {
        Self { state }
    }

    /// Totals, exact.
    pub fn totals(&self) -> Result<TotalsRecord, StateError> {
        Ok(Totals::get(&self.state, ())?.unwrap_or_default())
    }

    /// Time of the last command that was applied; zero before the first.
    pub fn clock(&self) -> Result<Timestamp, StateError> {
        Ok(CatalogClock::get(&self.state, ())?.map_or(Timestamp(0), |clock| clock.now))
    }
}
