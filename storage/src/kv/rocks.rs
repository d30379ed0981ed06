//! The engine of the binary: RocksDB. The one module that knows it.
//!
//! All engines of a process share one block cache and one bound on write buffers, so that memory does not grow with
//! their number. Journalled engines write to the operating system at once and sync on [`Engine::sync`]; the others
//! write no journal and flush all columns atomically, so that after a crash every column is as of one moment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DEFAULT_COLUMN_FAMILY_NAME,
    FlushOptions, LogLevel, Options, ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};

use super::{Batch, Change, Column, Direction, Engine, EngineError, EngineOptions, Engines, Pair, Scan};
use crate::disk::{Files, RealFiles};

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
    cache: Cache,
    write_buffers: WriteBufferManager,
}

impl RocksEngines {
    /// Engines that share one cache and one bound on write buffers. One value per process.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cache: Cache::new_lru_cache(CACHE_BYTES),
            write_buffers: WriteBufferManager::new_write_buffer_manager(WRITE_BUFFERS_BYTES, false),
        }
    }

    /// Options of the whole engine.
    fn engine_options(&self, journal: bool) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_max_open_files(OPEN_FILES);
        #[expect(clippy::disallowed_methods, reason = "how many threads RocksDB has; the simulator has another engine")]
        let jobs = available_parallelism().map_or(2, |cores| i32::try_from(cores.get()).unwrap_or(8).clamp(2, 8));
        options.set_max_background_jobs(jobs);
        // Spreads the cost of syncing large table files.
        options.set_bytes_per_sync(1 << 20);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(1 << 20);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        if journal {
            options.set_max_total_wal_size(JOURNAL_BYTES);
            // Writing over an old journal file changes no metadata, which halves the price of a sync.
            options.set_recycle_log_file_num(2);
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

impl Default for RocksEngines {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RocksEngines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RocksEngines").finish_non_exhaustive()
    }
}

impl Engines for RocksEngines {
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError> {
        RealFiles.create_directory_durable(directory).map_err(|error| failed(directory, error))?;
        let mut names: Vec<&str> = options.columns.iter().map(|column| column.0).collect();
        if !names.contains(&DEFAULT_COLUMN_FAMILY_NAME) {
            names.push(DEFAULT_COLUMN_FAMILY_NAME);
        }
        let columns = names.into_iter().map(|name| ColumnFamilyDescriptor::new(name, self.column_options()));
        let db = DB::open_cf_descriptors(&self.engine_options(options.journal), directory, columns)
            .map_err(|error| failed(directory, error))?;
        Ok(Arc::new(RocksEngine { db, path: directory.to_owned(), columns: options.columns, journal: options.journal }))
    }
}

/// An open RocksDB. Dropping it closes it; RocksDB then flushes what a journal does not hold.
struct RocksEngine {
    db: DB,
    path: PathBuf,
    columns: &'static [Column],
    journal: bool,
}

impl RocksEngine {
    fn column(&self, column: Column) -> Result<&ColumnFamily, EngineError> {
        let known = self.columns.contains(&column).then(|| self.db.cf_handle(column.0)).flatten();
        known.ok_or_else(|| EngineError::UnknownColumn { path: self.path.clone(), column: column.0 })
    }

    fn failed(&self, error: impl fmt::Display) -> EngineError {
        failed(&self.path, error)
    }
}

impl Engine for RocksEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.db.get_pinned_cf(self.column(column)?, key).map_err(|error| self.failed(error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let column = self.column(scan.column)?;
        if scan.limit == 0 || scan.end.as_ref().is_some_and(|end| *end <= scan.start) {
            return Ok(Vec::new());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(scan.start.as_ref());
        if let Some(end) = &scan.end {
            options.set_iterate_upper_bound(end.as_ref());
        }
        let mut iterator = self.db.raw_iterator_cf_opt(column, options);
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
        let mut changes = WriteBatch::default();
        for change in &batch.changes {
            match change {
                Change::Put(column, key, value) => changes.put_cf(self.column(*column)?, key, value),
                Change::Delete(column, key) => changes.delete_cf(self.column(*column)?, key),
                Change::DeleteRange(column, start, end) => {
                    let column = self.column(*column)?;
                    // RocksDB refuses a range that ends before it starts; an empty one does nothing.
                    if start < end {
                        changes.delete_range_cf(column, start, end);
                    }
                }
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(!self.journal);
        self.db.write_opt(changes, &options).map_err(|error| self.failed(error))
    }

    fn sync(&self) -> Result<(), EngineError> {
        if self.journal {
            return self.db.flush_wal(true).map_err(|error| self.failed(error));
        }
        let columns: Vec<&ColumnFamily> =
            self.columns.iter().map(|column| self.column(*column)).collect::<Result<_, _>>()?;
        // Waits until the tables and the manifest are synced.
        self.db.flush_cfs_opt(&columns, &FlushOptions::default()).map_err(|error| self.failed(error))
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(directory))
            .map_err(|error| self.failed(error))?;
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        RealFiles.sync_directory(parent).map_err(|error| self.failed(error))
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

fn failed(path: &Path, error: impl fmt::Display) -> EngineError {
    EngineError::Engine { path: path.to_owned(), message: error.to_string() }
}
