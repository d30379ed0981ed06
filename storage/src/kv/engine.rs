//! The key-value seam: ordered keys in named columns, atomic batches, explicit durability, checkpoints, and the keys under
//! which all of it is sealed.
//!
//! Two kinds of engine implement it, of [`RocksEngines`](super::RocksEngines) and of
//! [`MemoryEngines`](super::MemoryEngines), and one property-test model proves them equal.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::NoRoom;
use crate::seal::{CheckpointReader, CheckpointWriter, Seals};

/// A named column of an engine (a RocksDB column family).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column(pub &'static str);

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Error of an engine. All of them may have had an effect unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine reported a failure: I/O, corruption, no space.
    #[error("key-value engine at {path:?}: {message}")]
    Engine {
        /// Directory of the engine.
        path: std::path::PathBuf,
        /// What the engine said.
        message: String,
    },
    /// The column was not named when the engine was opened. Nothing was changed.
    #[error("key-value engine at {path:?} has no column {column:?}")]
    UnknownColumn {
        /// Directory of the engine.
        path: std::path::PathBuf,
        /// Name that was asked for.
        column: &'static str,
    },
    /// There is no room to write more of the store anew. What was written anew before stays.
    #[error("key-value engine at {path:?}: {missing}")]
    NoRoom {
        /// Directory of the engine.
        path: std::path::PathBuf,
        /// What it takes.
        missing: NoRoom,
    },
}

impl From<EngineError> for io::Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoRoom { .. } => Self::new(io::ErrorKind::StorageFull, error),
            error => Self::other(error),
        }
    }
}

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Every column of the engine. Missing ones are created.
    pub columns: &'static [Column],
    /// Whether writes are journalled (a write-ahead log). Without a journal, [`Engine::sync`] flushes all columns
    /// atomically, and what was written since the last sync is lost with the process.
    pub journal: bool,
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a key.
    Put(Column, Bytes, Bytes),
    /// Removes a key; a missing one is no error.
    Delete(Column, Bytes),
    /// Removes all keys in `start..end`.
    DeleteRange(Column, Bytes, Bytes),
}

/// Changes that become visible together, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes, later ones win.
    pub changes: Vec<Change>,
}

impl Batch {
    /// Adds a put.
    pub fn put(&mut self, column: Column, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.changes.push(Change::Put(column, key.into(), value.into()));
    }

    /// Adds a delete.
    pub fn delete(&mut self, column: Column, key: impl Into<Bytes>) {
        self.changes.push(Change::Delete(column, key.into()));
    }

    /// Adds a delete of `start..end`.
    pub fn delete_range(&mut self, column: Column, start: impl Into<Bytes>, end: impl Into<Bytes>) {
        self.changes.push(Change::DeleteRange(column, start.into(), end.into()));
    }
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key up.
    Forward,
    /// From the highest key down.
    Reverse,
}

/// A bounded, ordered read of one column.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Column to read.
    pub column: Column,
    /// First key, inclusive.
    pub start: Bytes,
    /// End, exclusive; `None` is the end of the column.
    pub end: Option<Bytes>,
    /// Order of the pairs.
    pub direction: Direction,
    /// Most pairs returned.
    pub limit: usize,
}

impl Scan {
    /// All keys that begin with `prefix`, in order, at most `limit`.
    #[must_use]
    pub fn prefix(column: Column, prefix: &[u8], limit: usize) -> Self {
        Self {
            column,
            start: Bytes::copy_from_slice(prefix),
            end: successor(prefix),
            direction: Direction::Forward,
            limit,
        }
    }

    /// The same scan, begun behind `key` (exclusive).
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        let mut start = Vec::with_capacity(key.len() + 1);
        start.extend_from_slice(key);
        start.push(0);
        if start.as_slice() > self.start.as_ref() {
            self.start = Bytes::from(start);
        }
        self
    }
}

/// The smallest key that is greater than every key with this prefix; `None` when there is none.
#[must_use]
pub fn successor(prefix: &[u8]) -> Option<Bytes> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(Bytes::from(end));
        }
    }
    None
}

/// An open key-value store. All calls block.
pub trait Engine: Debug + Send + Sync + 'static {
    /// Value of a key.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The pairs of a scan, as of one moment.
    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError>;

    /// Applies a batch atomically. Readers see it at once; it is durable after the next [`sync`](Self::sync).
    fn write(&self, batch: Batch) -> Result<(), EngineError>;

    /// The same if the engine takes it now; the batch back if it would wait, since the engine is being opened anew
    /// ([`rewrite`](Self::rewrite)). For those who must not wait.
    ///
    /// # Errors
    /// The batch, of which nothing was written.
    fn try_write(&self, batch: Batch) -> Result<Result<(), EngineError>, Batch> {
        Ok(self.write(batch))
    }

    /// Makes every write that returned before this call durable.
    fn sync(&self) -> Result<(), EngineError>;

    /// Writes a consistent, synced copy of the whole store into `directory`, which must not exist; its parent must.
    /// Files are hard-linked where the engine can. [`Engines::open`] opens such a copy.
    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError>;

    /// Writes everything that the store has anew, so that nothing of it is left under another key than the current one
    /// (or left sealed, without a current key). It is used meanwhile; only at the end, when it is closed and opened again,
    /// writes wait for a moment, and reads do not. What was written is durable after it. Checkpoints are not touched.
    ///
    /// It is broken off with an error, a moment after `goes_on` says no. What was written anew so far stays.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] before it would fill the disk; [`EngineError::Engine`] also when something stays as it is.
    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError>;

    /// How many bytes of the store lie under which key. An engine without files has none.
    fn seals(&self) -> Result<Seals, EngineError>;
}

/// Opens engines. One directory holds one engine, and is open at most once at a time: drop every handle before it is
/// opened again, destroyed or renamed.
pub trait Engines: Debug + Send + Sync + 'static {
    /// Opens the engine in `directory`, creating it if it is missing.
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError>;

    /// Opens a file of a checkpoint to be sent elsewhere: what it returns is in the clear, for other nodes have other keys.
    fn read_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointReader>>;

    /// Writes the files of a checkpoint, and all others in `directory` and below it, anew that lie under another key than
    /// the current one, each as the file `reseal` in `directory` until it is durable and takes its name. They may be read
    /// meanwhile, but no engine may be open there: it has its own [`rewrite`](Engine::rewrite). It is broken off before the
    /// next file with [`io::ErrorKind::Interrupted`] once `goes_on` says no, and with [`io::ErrorKind::StorageFull`] before
    /// it would fill the disk.
    fn rewrite_checkpoint(&self, directory: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<()>;

    /// Creates a file of a checkpoint that came from elsewhere, which must not exist: what it is given is in the clear.
    fn create_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointWriter>>;
}
