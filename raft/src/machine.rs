//! A state machine: a pure, deterministic function from (state, command, time in the command) to (state, response).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

use storage::kv::{Batch, Bytes, Column, Direction, Engine, EngineError, Pair, Scan};

use crate::codec::{CodecError, Versioned};
use crate::id::RequestId;
use crate::time::Timestamp;

/// What comes with each command: who asked and when. Stamped by the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// The leader's clock when it proposed the command. The machine makes it monotonic and bounds its jumps.
    pub time: Timestamp,
    /// The proposer's name for the request.
    pub request: RequestId,
}

/// Why an entry could not be applied. Fatal for the replica: it stops, since going on would let replicas diverge.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A stored record could not be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// A state machine over an engine.
pub trait Machine: Debug + Send + Sync + 'static {
    /// What is proposed.
    type Command: Versioned + Clone + Debug + Send + Sync + 'static;
    /// What the proposer gets back.
    type Response: Versioned + Clone + Debug + Send + Sync + 'static;

    /// Columns of the machine's engine, without those that the group adds for itself.
    const COLUMNS: &'static [Column];

    /// Applies one command. Deterministic: the result depends on nothing but the arguments.
    ///
    /// # Errors
    /// Only what stops the replica. A command that is refused is a response.
    fn apply(state: &mut Transaction<'_>, command: Self::Command, stamp: Stamp) -> Result<Self::Response, ApplyError>;
}

/// Reads of one machine's state: an engine, or a transaction with its own writes on top.
pub trait State {
    /// Value of a key.
    ///
    /// # Errors
    /// When the engine fails.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Pairs of a scan.
    ///
    /// # Errors
    /// When the engine fails.
    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError>;
}

impl State for Arc<dyn Engine> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Engine::get(self.as_ref(), column, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        Engine::scan(self.as_ref(), scan)
    }
}

/// An engine with writes on top that are not in it yet: commands of one apply batch see each other, and all effects
/// reach the engine as one [`Batch`].
#[derive(Debug)]
pub struct Transaction<'a> {
    engine: &'a dyn Engine,
    changes: BTreeMap<Column, Changes>,
    size_bytes: usize,
}

/// The present value of changed keys, `None` for deleted ones.
type Changes = BTreeMap<Bytes, Option<Bytes>>;

impl<'a> Transaction<'a> {
    /// An empty transaction over an engine.
    #[must_use]
    pub fn new(engine: &'a dyn Engine) -> Self {
        Self { engine, changes: BTreeMap::new(), size_bytes: 0 }
    }

    /// Sets a key.
    pub fn put(&mut self, column: Column, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.change(column, key.into(), Some(value.into()));
    }

    /// Removes a key.
    pub fn delete(&mut self, column: Column, key: impl Into<Bytes>) {
        self.change(column, key.into(), None);
    }

    fn change(&mut self, column: Column, key: Bytes, value: Option<Bytes>) {
        self.size_bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.changes.entry(column).or_default().insert(key, value);
    }

    /// Bytes of all changes made so far, to bound a batch. A key that was changed twice counts twice.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The changes as a batch.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        let mut batch = Batch::default();
        for (column, changes) in self.changes {
            for (key, value) in changes {
                match value {
                    Some(value) => batch.put(column, key, value),
                    None => batch.delete(column, key),
                }
            }
        }
        batch
    }
}

impl State for Transaction<'_> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        match self.changes.get(&column).and_then(|changes| changes.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.engine.get(column, key),
        }
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        // An upside-down range is empty, here as in the engines; `BTreeMap::range` would panic.
        if scan.end.as_ref().is_some_and(|end| *end <= scan.start) {
            return Ok(Vec::new());
        }
        let end = scan.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let changed: Vec<(&Bytes, &Option<Bytes>)> = match self.changes.get(&scan.column) {
            Some(changes) => changes.range((Bound::Included(scan.start.clone()), end)).collect(),
            None => Vec::new(),
        };
        if changed.is_empty() {
            return self.engine.scan(scan);
        }
        // At most as many stored pairs can be hidden by deletes as there are changes in the range.
        let widened = Scan { limit: scan.limit.saturating_add(changed.len()), ..scan.clone() };
        let mut merged: BTreeMap<Bytes, Bytes> = self.engine.scan(&widened)?.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        let pairs = merged.into_iter();
        Ok(match scan.direction {
            Direction::Forward => pairs.take(scan.limit).collect(),
            Direction::Reverse => pairs.rev().take(scan.limit).collect(),
        })
    }
}
