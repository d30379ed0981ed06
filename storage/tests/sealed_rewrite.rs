//! RocksDB written anew under another key: who reads and writes meanwhile, too little room, tables that cannot be
//! rewritten, and a rewriting that is broken off.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use storage::disk::{Files, RealFiles};
use storage::exec::Exec;
use storage::kv::{Batch, Column, Engine, EngineError, EngineOptions, Engines, RocksEngines};
use storage::seal::{Keys, survey_files};
use support::{StagedFiles, bytes, key_id, keyring, keys, overwrite};
use tokio::time::Instant;

const COLUMN: Column = Column("column");
const OTHER: Column = Column("other");
const JOURNALLED: EngineOptions = EngineOptions { columns: &[COLUMN, OTHER], journal: true };
const PLAIN: EngineOptions = EngineOptions { columns: &[COLUMN, OTHER], journal: false };

fn put(column: Column, number: u32) -> Batch {
    let mut batch = Batch::default();
    batch.put(column, number.to_be_bytes().to_vec(), bytes(u64::from(number), 300));
    batch
}

/// Rows in tables of both columns.
fn fill(engine: &dyn Engine) {
    for number in 0..1000 {
        engine.write(put(COLUMN, number)).unwrap();
        engine.write(put(OTHER, number)).unwrap();
    }
    engine.sync().unwrap();
}

fn holds(engine: &dyn Engine) {
    for number in 0..1000u32 {
        for column in [COLUMN, OTHER] {
            let value = engine.get(column, &number.to_be_bytes()).unwrap();
            assert_eq!(value.as_deref(), Some(bytes(u64::from(number), 300).as_slice()), "{number}");
        }
    }
}

fn under(directory: &Path, key: u8) -> Vec<PathBuf> {
    let files = survey_files(&RealFiles, directory).unwrap().into_iter();
    files.filter(|file| file.key == Some(key_id(key))).map(|file| file.path).collect()
}

fn tables_under(directory: &Path, key: u8) -> Vec<PathBuf> {
    let is_table = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sst");
    under(directory, key).into_iter().filter(is_table).collect()
}

/// Longest that somebody else may need for a few reads.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a rewriting sees each time that it begins a file, while it is watched.
#[derive(Default)]
struct Watch {
    on: AtomicBool,
    /// Reads that somebody else has done.
    reads: AtomicU64,
    /// Writes that would have had to wait.
    held_up: AtomicU64,
    /// Whether a file was begun at a time when nobody could read.
    blocked: AtomicBool,
    /// Whether readers and writers have to end.
    over: AtomicBool,
}

impl Watch {
    /// Goes on when two more reads were done, of which the second began after this.
    fn wait_for_reads(&self) {
        if !self.on.load(Ordering::SeqCst) || self.blocked.load(Ordering::SeqCst) {
            return;
        }
        let (before, begun) = (self.reads.load(Ordering::SeqCst), Instant::now());
        while self.reads.load(Ordering::SeqCst) < before + 2 {
            if begun.elapsed() > PATIENCE {
                self.blocked.store(true, Ordering::SeqCst);
                return;
            }
            std::hint::spin_loop();
        }
    }
}

#[tokio::test]
async fn reads_are_served_and_nobody_has_to_wait_to_write_while_an_engine_is_opened_anew() {
    for options in [JOURNALLED, PLAIN] {
        let directory = tempfile::tempdir().unwrap();
        let watch = Arc::new(Watch::default());
        let (next, watching) = (AtomicU64::new(0), Arc::clone(&watch));
        let keys = Keys::new(keyring(&[1, 2], Some(1)), move |bytes| {
            bytes.fill(0);
            bytes[..8].copy_from_slice(&next.fetch_add(1, Ordering::Relaxed).to_le_bytes());
            watching.wait_for_reads();
        });
        let engine = RocksEngines::new(keys.clone()).open(directory.path(), &options).unwrap();
        fill(engine.as_ref());
        keys.swap(keyring(&[1, 2], Some(2)));
        let (reader, reads) = (Arc::clone(&engine), Arc::clone(&watch));
        // Each on a thread of its own: RocksDB itself holds up writers while it begins a file.
        let reading = Exec::threads().run(move || {
            for number in (0..1000u32).cycle().take_while(|_| !reads.over.load(Ordering::SeqCst)) {
                let value = reader.get(COLUMN, &number.to_be_bytes()).unwrap();
                assert!(value.is_some(), "{number}");
                reads.reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (writer, writes) = (Arc::clone(&engine), Arc::clone(&watch));
        let writing = Exec::threads().run(move || {
            while !writes.over.load(Ordering::SeqCst) {
                match writer.try_write(put(OTHER, 7)) {
                    Ok(written) => written.unwrap(),
                    Err(back) => {
                        assert_eq!(back, put(OTHER, 7));
                        writes.held_up.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        });
        watch.on.store(true, Ordering::SeqCst);
        let (rewriter, ended) = (Arc::clone(&engine), Arc::clone(&watch));
        let rewriting = Exec::threads().run(move || {
            let rewritten = rewriter.rewrite(&|| true);
            ended.on.store(false, Ordering::SeqCst);
            ended.over.store(true, Ordering::SeqCst);
            rewritten
        });
        let ((), (), rewritten) = tokio::join!(reading, writing, rewriting);
        rewritten.unwrap();
        assert!(!watch.blocked.load(Ordering::SeqCst), "reads have waited");
        assert!(watch.held_up.load(Ordering::SeqCst) > 0, "it was written to while it was opened anew");
        assert_eq!(under(directory.path(), 1), Vec::<PathBuf>::new());
        holds(engine.as_ref());
        assert!(engine.try_write(put(COLUMN, 0)).unwrap().is_ok(), "and it goes on");
    }
}

#[test]
fn without_room_nothing_is_rewritten_and_the_disk_is_not_filled() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&[1, 2], Some(1));
    let files = Arc::new(StagedFiles::default());
    let engines = RocksEngines::over(keys.clone(), Arc::<StagedFiles>::clone(&files));
    let engine = engines.open(directory.path(), &PLAIN).unwrap();
    fill(engine.as_ref());
    keys.swap(keyring(&[1, 2], Some(2)));
    // A percent of the whole is left to others.
    files.free_bytes.store(10_000 + 100_000, Ordering::SeqCst);
    let error = engine.rewrite(&|| true).unwrap_err();
    let EngineError::NoRoom { missing, .. } = &error else { unreachable!("{error}") };
    let table = tables_under(directory.path(), 1)[0].clone();
    let length = RealFiles.open(&table).unwrap().length().unwrap();
    assert!(missing.needed_bytes >= length && missing.needed_bytes < length + 30_000, "{missing:?} {length}");
    assert_eq!(missing.missing_bytes, missing.needed_bytes - 110_000);
    assert!(error.to_string().contains("MiB of that are missing"), "{error}");
    assert_eq!(tables_under(directory.path(), 2), Vec::<PathBuf>::new(), "nothing was written");
    holds(engine.as_ref());
    engine.write(put(COLUMN, 0)).unwrap();

    files.free_bytes.store(10_000_000, Ordering::SeqCst);
    engine.rewrite(&|| true).unwrap();
    assert_eq!(under(directory.path(), 1), Vec::<PathBuf>::new());
    holds(engine.as_ref());
}

#[test]
fn a_checkpoint_is_not_written_anew_without_room() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&[1, 2], Some(1));
    let files = Arc::new(StagedFiles::default());
    let engines = RocksEngines::over(keys.clone(), Arc::<StagedFiles>::clone(&files));
    let engine = engines.open(&directory.path().join("engine"), &PLAIN).unwrap();
    fill(engine.as_ref());
    let checkpoint = directory.path().join("checkpoint");
    engine.checkpoint(&checkpoint).unwrap();
    keys.swap(keyring(&[1, 2], Some(2)));
    files.free_bytes.store(10_000 + 100_000, Ordering::SeqCst);
    let error = engines.rewrite_checkpoint(&checkpoint, &|| true).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert!(error.to_string().contains(".sst"), "{error}");
    files.free_bytes.store(10_000_000, Ordering::SeqCst);
    let error = engines.rewrite_checkpoint(&checkpoint, &|| false).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "{error}");
    assert!(!under(&checkpoint, 1).is_empty());
    engines.rewrite_checkpoint(&checkpoint, &|| true).unwrap();
    assert_eq!(under(&checkpoint, 1), Vec::<PathBuf>::new());
    holds(engines.open(&checkpoint, &PLAIN).unwrap().as_ref());
}

#[test]
fn a_table_that_cannot_be_compacted_is_not_taken_for_rewritten() {
    for options in [JOURNALLED, PLAIN] {
        let directory = tempfile::tempdir().unwrap();
        let keys = keys(&[1, 2], Some(1));
        let engines = RocksEngines::new(keys.clone());
        let engine = engines.open(directory.path(), &options).unwrap();
        fill(engine.as_ref());
        // So that all of it lies in tables, which are read by nobody then.
        engine.checkpoint(&directory.path().join("checkpoint")).unwrap();
        drop(engine);
        RealFiles.remove_directory_all(&directory.path().join("checkpoint")).unwrap();
        for path in tables_under(directory.path(), 1) {
            let mut content = RealFiles.read(&path).unwrap();
            content[2000] ^= 1;
            overwrite(&path, &content);
        }
        let engine = engines.open(directory.path(), &options).unwrap();
        keys.swap(keyring(&[1, 2], Some(2)));
        engine.write(put(COLUMN, 0)).unwrap();
        let error = engine.rewrite(&|| true).unwrap_err();
        assert!(!tables_under(directory.path(), 1).is_empty(), "{error}");
        // Nor is the engine stopped by it, and with that the node.
        engine.write(put(COLUMN, 1)).unwrap();
        engine.sync().unwrap();
    }
}

#[test]
fn what_is_broken_off_keeps_what_it_has_and_leaves_the_engine_as_it_was() {
    for options in [JOURNALLED, PLAIN] {
        let directory = tempfile::tempdir().unwrap();
        let keys = keys(&[1, 2], Some(1));
        let engines = RocksEngines::new(keys.clone());
        let engine = engines.open(directory.path(), &options).unwrap();
        fill(engine.as_ref());
        // In tables, whatever the kind of engine.
        engine.rewrite(&|| true).unwrap();
        let before = tables_under(directory.path(), 1).len();
        keys.swap(keyring(&[1, 2], Some(2)));
        let asked = AtomicU64::new(0);
        engine.rewrite(&|| asked.fetch_add(1, Ordering::SeqCst) < 1).unwrap_err();
        let left = tables_under(directory.path(), 1).len();
        assert!(left > 0 && left < before, "{left} of {before}");
        engine.write(put(COLUMN, 0)).unwrap();
        holds(engine.as_ref());
        drop(engine);
        let engine = engines.open(directory.path(), &options).unwrap();
        holds(engine.as_ref());
        engine.rewrite(&|| true).unwrap();
        assert_eq!(under(directory.path(), 1), Vec::<PathBuf>::new());
        holds(engine.as_ref());
    }
}
