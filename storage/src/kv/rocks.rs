//! The engine of the binary: RocksDB. The one module that knows it.
//!
//! All engines of a process share one block cache and one bound on write buffers, so that memory does not grow with
//! their number. Journalled engines write to the operating system at once and sync on [`Engine::sync`]; the others
//! write no journal and flush all columns atomically, so that after a crash every column is as of one moment.
//!
//! Every file goes through a file system of our own (`sealed`), which seals it if there is a key. RocksDB's own log goes
//! to this program's: in a file it would be one more that tells keys, or that nobody can read.

mod rewrite;

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::thread::available_parallelism;

use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DEFAULT_COLUMN_FAMILY_NAME,
    Env, FlushOptions, InfoLogger, LogLevel, Options, ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};

use super::sealed;
use super::{Batch, Change, Column, Direction, Engine, EngineError, EngineOptions, Engines, Pair, Scan};
use crate::disk::{Files, RealFiles};
use crate::seal::{self, CheckpointReader, CheckpointWriter, Keys, Seals};

/// Blocks, indexes and filters of all engines.
const CACHE_BYTES: usize = 64 << 20;
/// Write buffers of all engines. Above it the engine that is written to flushes; writers do not wait for it.
const WRITE_BUFFERS_BYTES: usize = 48 << 20;
/// Largest write buffer of one column.
const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// A column that is written to takes memory in steps of this: small, since a state has many quiet columns.
const ARENA_BYTES: usize = 128 << 10;
/// Journal that may lie behind unflushed columns: bounds the work of a restart.
const JOURNAL_BYTES: u64 = 128 << 20;
/// Block of a table file.
const BLOCK_BYTES: usize = 16 << 10;
/// Table files kept open per engine.
const OPEN_FILES: i32 = 256;

/// Opens RocksDB engines on the operating system's files.
pub struct RocksEngines {
    shared: Arc<Shared>,
}

/// What all engines of a process share.
struct Shared {
    cache: Cache,
    write_buffers: WriteBufferManager,
    environment: Env,
    keys: Keys,
    /// Asked for free space.
    files: Arc<dyn Files>,
}

impl RocksEngines {
    /// Engines that share one cache and one bound on write buffers, and seal their files under these keys. One value per
    /// process.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self::over(keys, Arc::new(RealFiles))
    }

    /// The same, with these files asked for free space and for checkpoints. RocksDB itself uses the operating system's.
    #[must_use]
    pub fn over(keys: Keys, files: Arc<dyn Files>) -> Self {
        Self {
            shared: Arc::new(Shared {
                cache: Cache::new_lru_cache(CACHE_BYTES),
                write_buffers: WriteBufferManager::new_write_buffer_manager(WRITE_BUFFERS_BYTES, false),
                environment: sealed::environment(keys.clone()),
                keys,
                files,
            }),
        }
    }
}

impl Shared {
    fn open(&self, directory: &Path, columns: &[Column], journal: bool) -> Result<DB, EngineError> {
        DB::open_cf_descriptors(&self.engine_options(journal), directory, self.descriptors(columns))
            .map_err(|error| failed(directory, error))
    }

    /// Opens what another instance may have open, to be read only: as it is now, with all its tables.
    fn open_to_read(&self, directory: &Path, columns: &[Column], journal: bool) -> Result<DB, EngineError> {
        let mut options = self.engine_options(journal);
        options.set_max_open_files(-1);
        DB::open_cf_descriptors_read_only(&options, directory, self.descriptors(columns), false)
            .map_err(|error| failed(directory, error))
    }

    fn descriptors(&self, columns: &[Column]) -> Vec<ColumnFamilyDescriptor> {
        let mut names: Vec<&str> = columns.iter().map(|column| column.0).collect();
        if !names.contains(&DEFAULT_COLUMN_FAMILY_NAME) {
            names.push(DEFAULT_COLUMN_FAMILY_NAME);
        }
        names.into_iter().map(|name| ColumnFamilyDescriptor::new(name, self.column_options())).collect()
    }

    /// Options of the whole engine.
    fn engine_options(&self, journal: bool) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_env(&self.environment);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_max_open_files(OPEN_FILES);
        #[expect(clippy::disallowed_methods, reason = "how many threads RocksDB has; the simulator has another engine")]
        let jobs = available_parallelism().map_or(2, |cores| i32::try_from(cores.get()).unwrap_or(8).clamp(2, 8));
        options.set_max_background_jobs(jobs);
        // Spreads the cost of syncing large table files.
        options.set_bytes_per_sync(1 << 20);
        options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, log));
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        if journal {
            options.set_max_total_wal_size(JOURNAL_BYTES);
            // Writing over an old journal file changes no metadata, which halves the price of a sync. What is sealed is
            // not written over.
            let seals = self.keys.load().current().is_some();
            options.set_recycle_log_file_num(if seals { 0 } else { 2 });
        } else {
            options.set_atomic_flush(true);
        }
        options
    }

    /// Options of every column.
    fn column_options(&self) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(BLOCK_BYTES);
        table.set_bloom_filter(10.0, false);
        table.set_optimize_filters_for_memory(true);
        // Indexes and filters count against the cache: memory stays bounded however large the store is.
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_arena_block_size(ARENA_BYTES);
        options.set_max_write_buffer_number(3);
        options
    }
}

impl fmt::Debug for RocksEngines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RocksEngines").finish_non_exhaustive()
    }
}

impl Engines for RocksEngines {
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(RocksEngine::open(&self.shared, directory, options)?))
    }

    fn read_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointReader>> {
        seal::files::read(self.shared.files.as_ref(), &self.shared.keys, path)
    }

    fn rewrite_checkpoint(&self, directory: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        seal::files::rewrite_all(self.shared.files.as_ref(), &self.shared.keys, directory, goes_on)
    }

    fn create_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointWriter>> {
        seal::files::create(self.shared.files.as_ref(), &self.shared.keys, path)
    }
}

/// An open RocksDB. Dropping it closes it; RocksDB then flushes what a journal does not hold.
struct RocksEngine {
    /// Taken alone for a moment only, to put another instance in place: whoever reads does not wait for a disk.
    open: RwLock<Open>,
    /// Whoever writes shares it. It is taken alone while the engine is opened anew, and before `open`.
    writing: RwLock<()>,
    rewriting: Mutex<()>,
    shared: Arc<Shared>,
    path: PathBuf,
    columns: &'static [Column],
    journal: bool,
}

/// What is read and written.
struct Open {
    db: DB,
    /// Otherwise it is only read: while the engine is opened anew, and after it could not be.
    writable: bool,
}

/// The database for the length of one call.
struct InUse<'a> {
    open: RwLockReadGuard<'a, Open>,
    /// Held by whoever writes.
    _writing: Option<RwLockReadGuard<'a, ()>>,
}

impl Deref for InUse<'_> {
    type Target = DB;

    fn deref(&self) -> &DB {
        &self.open.db
    }
}

impl RocksEngine {
    fn open(shared: &Arc<Shared>, directory: &Path, options: &EngineOptions) -> Result<Self, EngineError> {
        RealFiles.create_directory_durable(directory).map_err(|error| failed(directory, error))?;
        let db = shared.open(directory, options.columns, options.journal)?;
        Ok(Self {
            open: RwLock::new(Open { db, writable: true }),
            writing: RwLock::default(),
            rewriting: Mutex::default(),
            shared: Arc::clone(shared),
            path: directory.to_owned(),
            columns: options.columns,
            journal: options.journal,
        })
    }

    fn db(&self) -> InUse<'_> {
        InUse { open: self.open.read().unwrap_or_else(PoisonError::into_inner), _writing: None }
    }

    /// The database to be written to. Waits while it is opened anew.
    fn writable(&self) -> Result<InUse<'_>, EngineError> {
        self.writable_with(self.writing.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn writable_with<'a>(&'a self, writing: RwLockReadGuard<'a, ()>) -> Result<InUse<'a>, EngineError> {
        let db = InUse { _writing: Some(writing), ..self.db() };
        if db.open.writable { Ok(db) } else { Err(self.failed("it was closed, and could not be opened again")) }
    }

    fn column<'a>(&self, db: &'a DB, column: Column) -> Result<&'a ColumnFamily, EngineError> {
        let known = self.columns.contains(&column).then(|| db.cf_handle(column.0)).flatten();
        known.ok_or_else(|| EngineError::UnknownColumn { path: self.path.clone(), column: column.0 })
    }

    fn failed(&self, error: impl fmt::Display) -> EngineError {
        failed(&self.path, error)
    }

    fn write_to(&self, db: &DB, batch: &Batch) -> Result<(), EngineError> {
        let mut changes = WriteBatch::default();
        for change in &batch.changes {
            match change {
                Change::Put(column, key, value) => changes.put_cf(self.column(db, *column)?, key, value),
                Change::Delete(column, key) => changes.delete_cf(self.column(db, *column)?, key),
                Change::DeleteRange(column, start, end) => {
                    let column = self.column(db, *column)?;
                    // RocksDB refuses a range that ends before it starts; an empty one does nothing.
                    if start < end {
                        changes.delete_range_cf(column, start, end);
                    }
                }
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(!self.journal);
        db.write_opt(changes, &options).map_err(|error| self.failed(error))
    }

    /// Writes memory out to tables, and waits until they and the manifest are synced.
    fn flush(&self, db: &DB) -> Result<(), EngineError> {
        let columns: Vec<&ColumnFamily> =
            self.columns.iter().map(|column| self.column(db, *column)).collect::<Result<_, _>>()?;
        db.flush_cfs_opt(&columns, &FlushOptions::default()).map_err(|error| self.failed(error))
    }
}

impl Engine for RocksEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let db = self.db();
        let value = db.get_pinned_cf(self.column(&db, column)?, key).map_err(|error| self.failed(error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let db = self.db();
        let column = self.column(&db, scan.column)?;
        if scan.limit == 0 || scan.end.as_ref().is_some_and(|end| *end <= scan.start) {
            return Ok(Vec::new());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(scan.start.as_ref());
        if let Some(end) = &scan.end {
            options.set_iterate_upper_bound(end.as_ref());
        }
        let mut iterator = db.raw_iterator_cf_opt(column, options);
        match scan.direction {
            Direction::Forward => iterator.seek_to_first(),
            Direction::Reverse => iterator.seek_to_last(),
        }
        let mut pairs = Vec::new();
        while let Some((key, value)) = iterator.item() {
            pairs.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            if pairs.len() == scan.limit {
                return Ok(pairs);
            }
            match scan.direction {
                Direction::Forward => iterator.next(),
                Direction::Reverse => iterator.prev(),
            }
        }
        // An iterator also ends when it fails.
        iterator.status().map_err(|error| self.failed(error))?;
        Ok(pairs)
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.write_to(&*self.writable()?, &batch)
    }

    fn try_write(&self, batch: Batch) -> Result<Result<(), EngineError>, Batch> {
        let writing = match self.writing.try_read() {
            Ok(writing) => writing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(batch),
        };
        Ok(self.writable_with(writing).and_then(|db| self.write_to(&db, &batch)))
    }

    fn sync(&self) -> Result<(), EngineError> {
        let db = self.writable()?;
        if self.journal { db.flush_wal(true).map_err(|error| self.failed(error)) } else { self.flush(&db) }
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        let db = self.writable()?;
        Checkpoint::new(&db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(directory))
            .map_err(|error| self.failed(error))?;
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        RealFiles.sync_directory(parent).map_err(|error| self.failed(error))
    }

    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        self.write_anew(goes_on)
    }

    fn seals(&self) -> Result<Seals, EngineError> {
        seal::survey(&RealFiles, &self.path).map_err(|error| self.failed(error))
    }
}

impl fmt::Debug for RocksEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RocksEngine")
            .field("path", &self.path)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

/// What RocksDB has to say.
fn log(level: LogLevel, message: &str) {
    let message = message.trim_end();
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::error!(message, "key-value engine"),
        LogLevel::Warn => tracing::warn!(message, "key-value engine"),
        // Headers among them: versions and options, at every start.
        _ => tracing::debug!(message, "key-value engine"),
    }
}

fn failed(path: &Path, error: impl fmt::Display) -> EngineError {
    EngineError::Engine { path: path.to_owned(), message: error.to_string() }
}
