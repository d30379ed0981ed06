//! Engines on a disk that can fail: the in-memory engines behind the faults of a computer's system disk.
//!
//! They fail as RocksDB does. A write or a sync that met an I/O error stops the engine: every later write and sync fails
//! until it is opened again, since nobody knows what reached the disk. A disk that is full stops nothing, as RocksDB
//! goes on by itself once there is space. Without a journal a write goes to memory alone and only a sync meets the disk.
//! Opening and checkpoints go through the files, and meet the faults there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use storage::kv::{
    Batch, Bytes, Change, Column, Engine, EngineError, EngineOptions, Engines, MemoryEngines, Pair, Scan,
};

use storage::seal::{CheckpointReader, CheckpointWriter, Seals};

use crate::disk::{Access, SimulatedDisk, is_full};

/// Share of reads that the cache of blocks cannot answer, in percent.
const CACHE_MISSES_PERCENT: u8 = 10;
/// What a read fetches at once.
const BLOCK_BYTES: u64 = 16 << 10;

/// Opens engines whose operations meet the faults of a disk.
#[derive(Clone, Debug)]
pub struct FaultyEngines {
    inner: MemoryEngines,
    disk: SimulatedDisk,
    /// Whether any of them was stopped by a failure.
    any_stopped: Arc<AtomicBool>,
}

impl FaultyEngines {
    /// These engines, on this disk. `any_stopped` becomes true when the first of them is stopped by a failure.
    #[must_use]
    pub const fn new(inner: MemoryEngines, disk: SimulatedDisk, any_stopped: Arc<AtomicBool>) -> Self {
        Self { inner, disk, any_stopped }
    }
}

impl Engines for FaultyEngines {
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError> {
        let inner = self.inner.open(directory, options)?;
        Ok(Arc::new(FaultyEngine {
            inner,
            disk: self.disk.clone(),
            path: directory.to_owned(),
            journal: options.journal,
            stopped: Mutex::new(None),
            any_stopped: Arc::clone(&self.any_stopped),
        }))
    }

    fn read_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointReader>> {
        self.inner.read_checkpoint_file(path)
    }

    fn create_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointWriter>> {
        self.inner.create_checkpoint_file(path)
    }

    fn rewrite_checkpoint(&self, directory: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        self.inner.rewrite_checkpoint(directory, goes_on)
    }
}

#[derive(Debug)]
struct FaultyEngine {
    inner: Arc<dyn Engine>,
    disk: SimulatedDisk,
    path: PathBuf,
    journal: bool,
    /// The failure that stopped it.
    stopped: Mutex<Option<String>>,
    any_stopped: Arc<AtomicBool>,
}

impl FaultyEngine {
    fn failed(&self, error: impl fmt::Display) -> EngineError {
        EngineError::Engine { path: self.path.clone(), message: error.to_string() }
    }

    fn running(&self) -> Result<(), EngineError> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        match stopped.as_ref() {
            None => Ok(()),
            Some(failure) => Err(self.failed(format_args!("stopped by an earlier failure: {failure}"))),
        }
    }

    /// What came of a change on the disk.
    fn changed(&self, met: io::Result<()>) -> Result<(), EngineError> {
        met.map_err(|error| {
            if !is_full(&error) {
                *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                self.any_stopped.store(true, Ordering::Relaxed);
            }
            self.failed(error)
        })
    }

    fn read(&self) -> Result<(), EngineError> {
        if self.disk.chance(CACHE_MISSES_PERCENT) {
            self.disk.meet(Access::Read, BLOCK_BYTES).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}

fn size_bytes(batch: &Batch) -> u64 {
    let sizes = batch.changes.iter().map(|change| match change {
        Change::Put(_, key, value) => key.len() + value.len(),
        Change::Delete(_, key) => key.len(),
        Change::DeleteRange(_, start, end) => start.len() + end.len(),
    });
    sizes.sum::<usize>() as u64
}

impl Engine for FaultyEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.read()?;
        self.inner.get(column, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.read()?;
        self.inner.scan(scan)
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.running()?;
        if self.journal {
            self.changed(self.disk.meet(Access::Write, size_bytes(&batch)))?;
        }
        self.inner.write(batch)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.running()?;
        if !self.journal {
            // Memory is written out to tables first.
            self.changed(self.disk.meet(Access::Write, 0))?;
        }
        self.changed(self.disk.meet(Access::Sync, 0))?;
        self.inner.sync()
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        self.running()?;
        self.inner.checkpoint(directory)
    }

    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        self.sync()?;
        self.inner.rewrite(goes_on)
    }

    fn seals(&self) -> Result<Seals, EngineError> {
        self.inner.seals()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use storage::disk::Files;

    use super::*;
    use crate::disk::{DiskFaults, take_io_time};
    use crate::seed::Seed;

    const COLUMN: Column = Column("c");

    fn engine(journal: bool) -> (SimulatedDisk, MemoryEngines, Arc<dyn Engine>) {
        let disk = SimulatedDisk::new(1 << 20, Seed(1));
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let inner = MemoryEngines::new(files);
        let engine = open(&disk, &inner, journal);
        (disk, inner, engine)
    }

    fn open(disk: &SimulatedDisk, inner: &MemoryEngines, journal: bool) -> Arc<dyn Engine> {
        let options = EngineOptions { columns: &[COLUMN], journal };
        FaultyEngines::new(inner.clone(), disk.clone(), Arc::default()).open(Path::new("/e"), &options).unwrap()
    }

    fn put(engine: &dyn Engine, key: &'static [u8]) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        batch.put(COLUMN, key, key);
        engine.write(batch)
    }

    #[test]
    fn a_failed_sync_stops_the_engine_until_it_is_opened_again() {
        for journal in [false, true] {
            let (disk, inner, engine) = engine(journal);
            put(engine.as_ref(), b"synced").unwrap();
            engine.sync().unwrap();
            put(engine.as_ref(), b"not").unwrap();
            disk.set_faults(DiskFaults { sync_errors_percent: 100, ..Default::default() });
            assert!(engine.sync().is_err());
            disk.heal();
            assert!(engine.sync().is_err() && put(engine.as_ref(), b"x").is_err());
            assert!(engine.get(COLUMN, b"not").unwrap().is_some());
            inner.power_loss();
            let engine = open(&disk, &inner, journal);
            assert!(engine.get(COLUMN, b"synced").unwrap().is_some());
            assert_eq!(engine.get(COLUMN, b"not").unwrap(), None);
            put(engine.as_ref(), b"x").unwrap();
            engine.sync().unwrap();
        }
    }

    #[test]
    fn a_full_disk_stops_the_journal_for_as_long_as_it_is_full() {
        let (disk, _, engine) = engine(true);
        disk.set_faults(DiskFaults { full: true, ..Default::default() });
        assert!(put(engine.as_ref(), b"1").is_err());
        assert_eq!(engine.get(COLUMN, b"1").unwrap(), None);
        disk.heal();
        put(engine.as_ref(), b"1").unwrap();
        engine.sync().unwrap();
    }

    #[test]
    fn without_a_journal_only_a_sync_meets_the_disk() {
        let (disk, _, engine) = engine(false);
        disk.set_faults(DiskFaults { full: true, write_errors_percent: 100, ..Default::default() });
        put(engine.as_ref(), b"1").unwrap();
        assert!(engine.sync().is_err());
        disk.heal();
        engine.sync().unwrap();
    }

    #[test]
    fn reads_that_miss_the_cache_meet_read_errors() {
        let (disk, _, engine) = engine(true);
        disk.set_faults(DiskFaults { read_errors_percent: 100, ..Default::default() });
        let failed = (0..1000).filter(|_| engine.get(COLUMN, b"1").is_err()).count();
        assert!((50..200).contains(&failed), "{failed}");
    }

    #[test]
    fn a_slow_disk_slows_the_engine() {
        let (disk, _, engine) = engine(true);
        let tick = Duration::from_millis(10);
        disk.set_faults(DiskFaults { latency_per_operation: tick, ..Default::default() });
        put(engine.as_ref(), b"1").unwrap();
        engine.sync().unwrap();
        assert_eq!(take_io_time(), tick * 2);
    }
}
