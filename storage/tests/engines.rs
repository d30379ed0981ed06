//! Both key-value engines against one model: the same random operations, the same answers.
//!
//! The model is a sorted map and a copy of it that survives power loss. Reopening, checkpoints, scans in both
//! directions, deleted ranges and (in memory) power loss are among the operations.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use storage::disk::{Files, RealFiles};
use storage::kv::{
    Batch, Change, Column, Direction, Engine, EngineError, EngineOptions, Engines, MemoryEngines, RocksEngines, Scan,
};
use storage::seal::Keys;
use support::{golden, keys};

const COLUMNS: [Column; 3] = [Column("left"), Column("middle"), Column("right")];

type Model = BTreeMap<(Column, Bytes), Bytes>;

#[derive(Clone, Debug)]
enum Operation {
    Write(Vec<Change>),
    Scan(Scan),
    Sync,
    Reopen,
    /// Writes a checkpoint and opens it beside the engine.
    Checkpoint,
    /// Writes a checkpoint, and goes on with it in place of the engine, renamed.
    Replace,
    /// Power loss, if the engine can; a reopening otherwise.
    PowerLoss,
    /// Everything written anew.
    Rewrite,
}

/// Keys that share prefixes and are close together; some are empty.
fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x61), Just(0xff)], 0..4).prop_map(Bytes::from)
}

fn column() -> impl Strategy<Value = Column> {
    prop::sample::select(COLUMNS.to_vec())
}

fn change() -> impl Strategy<Value = Change> {
    let value = prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    prop_oneof![
        6 => (column(), key(), value).prop_map(|(column, key, value)| Change::Put(column, key, value)),
        2 => (column(), key()).prop_map(|(column, key)| Change::Delete(column, key)),
        1 => (column(), key(), key()).prop_map(|(column, start, end)| Change::DeleteRange(column, start, end)),
    ]
}

fn scan() -> impl Strategy<Value = Scan> {
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Reverse)];
    (column(), key(), prop::option::of(key()), direction, 0usize..12)
        .prop_map(|(column, start, end, direction, limit)| Scan { column, start, end, direction, limit })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => prop::collection::vec(change(), 0..8).prop_map(Operation::Write),
        8 => scan().prop_map(Operation::Scan),
        3 => Just(Operation::Sync),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::Checkpoint),
        1 => Just(Operation::Replace),
        2 => Just(Operation::PowerLoss),
        1 => Just(Operation::Rewrite),
    ]
}

/// One engine under test, and what it should hold.
struct Bench {
    engines: Arc<dyn Engines>,
    memory: Option<MemoryEngines>,
    options: EngineOptions,
    root: PathBuf,
    generation: u32,
    engine: Option<Arc<dyn Engine>>,
    model: Model,
    durable: Model,
}

impl Bench {
    fn new(engines: Arc<dyn Engines>, memory: Option<MemoryEngines>, journal: bool, root: &Path) -> Self {
        let options = EngineOptions { columns: &COLUMNS, journal };
        let engine = Some(engines.open(&root.join("engine"), &options).unwrap());
        let (model, durable) = Default::default();
        Self { engines, memory, options, root: root.to_owned(), generation: 0, engine, model, durable }
    }

    fn engine(&self) -> &dyn Engine {
        self.engine.as_deref().unwrap()
    }

    fn reopen(&mut self) {
        self.engine = None;
        self.engine = Some(self.engines.open(&self.root.join("engine"), &self.options).unwrap());
    }

    fn checkpoint(&mut self) -> PathBuf {
        self.generation += 1;
        let directory = self.root.join(format!("checkpoint-{}", self.generation));
        self.engine().checkpoint(&directory).unwrap();
        directory
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Write(changes) => {
                self.model_write(&changes);
                self.engine().write(Batch { changes }).unwrap();
            }
            Operation::Scan(scan) => {
                assert_eq!(self.engine().scan(&scan).unwrap(), model_scan(&self.model, &scan), "{scan:?}");
            }
            Operation::Sync => {
                self.engine().sync().unwrap();
                self.durable = self.model.clone();
            }
            Operation::Reopen => self.reopen(),
            Operation::Rewrite => {
                self.engine().rewrite(&|| true).unwrap();
                self.durable = self.model.clone();
            }
            Operation::Checkpoint => {
                let directory = self.checkpoint();
                let copy = self.engines.open(&directory, &self.options).unwrap();
                check(copy.as_ref(), &self.model);
                // The copy is a store of its own.
                let mut batch = Batch::default();
                batch.put(COLUMNS[0], &b"only in the copy"[..], &b""[..]);
                copy.write(batch).unwrap();
            }
            Operation::Replace => {
                let directory = self.checkpoint();
                self.engine = None;
                RealFiles.remove_directory_all(&self.root.join("engine")).unwrap();
                RealFiles.rename(&directory, &self.root.join("engine")).unwrap();
                self.durable = self.model.clone();
                self.reopen();
            }
            Operation::PowerLoss => {
                if let Some(memory) = &self.memory {
                    memory.power_loss();
                    self.model = self.durable.clone();
                }
                self.reopen();
            }
        }
        check(self.engine(), &self.model);
    }

    fn model_write(&mut self, changes: &[Change]) {
        for change in changes {
            match change.clone() {
                Change::Put(column, key, value) => {
                    self.model.insert((column, key), value);
                }
                Change::Delete(column, key) => {
                    self.model.remove(&(column, key));
                }
                Change::DeleteRange(column, start, end) => {
                    self.model.retain(|(other, key), _| *other != column || *key < start || *key >= end);
                }
            }
        }
    }
}

fn model_scan(model: &Model, scan: &Scan) -> Vec<(Bytes, Bytes)> {
    let inside = |key: &Bytes| *key >= scan.start && scan.end.as_ref().is_none_or(|end| key < end);
    let mut pairs: Vec<(Bytes, Bytes)> = model
        .iter()
        .filter(|((column, key), _)| *column == scan.column && inside(key))
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect();
    if scan.direction == Direction::Reverse {
        pairs.reverse();
    }
    pairs.truncate(scan.limit);
    pairs
}

/// Everything in the engine is everything in the model.
fn check(engine: &dyn Engine, model: &Model) {
    for column in COLUMNS {
        let scan = Scan::prefix(column, b"", usize::MAX);
        assert_eq!(engine.scan(&scan).unwrap(), model_scan(model, &scan));
    }
    for ((column, key), value) in model {
        assert_eq!(engine.get(*column, key).unwrap().as_ref(), Some(value));
    }
    assert_eq!(engine.get(COLUMNS[1], b"a key that nobody writes").unwrap(), None);
}

fn memory() -> MemoryEngines {
    MemoryEngines::new(Arc::new(RealFiles))
}

fn rocks() -> Arc<dyn Engines> {
    Arc::new(RocksEngines::new(Keys::clear()))
}

fn sealed_rocks() -> Arc<dyn Engines> {
    Arc::new(RocksEngines::new(keys(&[1], Some(1))))
}

fn sealed_memory() -> Arc<dyn Engines> {
    Arc::new(MemoryEngines::with_keys(Arc::new(RealFiles), keys(&[1], Some(1))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_is_the_model(operations in prop::collection::vec(operation(), 1..60), journal: bool) {
        let directory = tempfile::tempdir().unwrap();
        let memory = memory();
        let mut bench = Bench::new(Arc::new(memory.clone()), Some(memory), journal, directory.path());
        for operation in operations {
            bench.run(operation);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rocks_is_the_model(operations in prop::collection::vec(operation(), 1..40), journal: bool) {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(rocks(), None, journal, directory.path());
        for operation in operations {
            bench.run(operation);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn sealed_rocks_is_the_model(operations in prop::collection::vec(operation(), 1..40), journal: bool) {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(sealed_rocks(), None, journal, directory.path());
        for operation in operations {
            bench.run(operation);
        }
    }
}

fn both(test: impl Fn(Arc<dyn Engines>, &Path)) {
    for engines in [Arc::new(memory()) as Arc<dyn Engines>, rocks(), sealed_memory(), sealed_rocks()] {
        let directory = tempfile::tempdir().unwrap();
        test(engines, directory.path());
    }
}

const JOURNALLED: EngineOptions = EngineOptions { columns: &COLUMNS, journal: true };

fn put(engine: &dyn Engine, key: &'static [u8]) {
    let mut batch = Batch::default();
    batch.put(COLUMNS[0], key, &b"value"[..]);
    engine.write(batch).unwrap();
}

#[test]
fn an_unknown_column_changes_nothing() {
    both(|engines, root| {
        let engine = engines.open(&root.join("deep/down/engine"), &JOURNALLED).unwrap();
        let mut batch = Batch::default();
        batch.put(COLUMNS[0], &b"key"[..], &b""[..]);
        batch.put(Column("nowhere"), &b"key"[..], &b""[..]);
        assert!(matches!(engine.write(batch), Err(EngineError::UnknownColumn { column: "nowhere", .. })));
        assert!(matches!(engine.get(Column("default"), b""), Err(EngineError::UnknownColumn { .. })));
        assert_eq!(engine.get(COLUMNS[0], b"key").unwrap(), None);
    });
}

#[test]
fn an_engine_is_open_once() {
    both(|engines, root| {
        let engine = engines.open(&root.join("engine"), &JOURNALLED).unwrap();
        assert!(engines.open(&root.join("engine"), &JOURNALLED).is_err());
        drop(engine);
        assert!(engines.open(&root.join("engine"), &JOURNALLED).is_ok());
    });
}

#[test]
fn columns_can_be_added_and_not_left_out() {
    const MORE: EngineOptions = EngineOptions { columns: &[COLUMNS[0], Column("new")], journal: true };
    const ONE: EngineOptions = EngineOptions { columns: &[COLUMNS[0]], journal: true };
    both(|engines, root| {
        put(engines.open(root, &ONE).unwrap().as_ref(), b"key");
        let engine = engines.open(root, &MORE).unwrap();
        let mut batch = Batch::default();
        batch.put(Column("new"), &b"key"[..], &b""[..]);
        engine.write(batch).unwrap();
        assert!(engine.get(COLUMNS[0], b"key").unwrap().is_some());
        drop(engine);
        assert!(engines.open(root, &ONE).is_err());
    });
}

#[test]
fn a_removed_directory_takes_its_store_along() {
    both(|engines, root| {
        let directory = root.join("engine");
        let engine = engines.open(&directory, &JOURNALLED).unwrap();
        put(engine.as_ref(), b"key");
        engine.sync().unwrap();
        drop(engine);
        RealFiles.remove_directory_all(&directory).unwrap();
        let engine = engines.open(&directory, &JOURNALLED).unwrap();
        assert_eq!(engine.get(COLUMNS[0], b"key").unwrap(), None);
    });
}

#[test]
fn a_renamed_directory_takes_its_store_along() {
    both(|engines, root| {
        let engine = engines.open(&root.join("before"), &JOURNALLED).unwrap();
        put(engine.as_ref(), b"key");
        engine.sync().unwrap();
        drop(engine);
        RealFiles.rename(&root.join("before"), &root.join("after")).unwrap();
        let engine = engines.open(&root.join("after"), &JOURNALLED).unwrap();
        assert!(engine.get(COLUMNS[0], b"key").unwrap().is_some());
        let engine = engines.open(&root.join("before"), &JOURNALLED).unwrap();
        assert_eq!(engine.get(COLUMNS[0], b"key").unwrap(), None);
    });
}

#[test]
fn a_checkpoint_does_not_overwrite() {
    both(|engines, root| {
        let engine = engines.open(&root.join("engine"), &JOURNALLED).unwrap();
        engine.checkpoint(&root.join("copy")).unwrap();
        assert!(engine.checkpoint(&root.join("copy")).is_err());
    });
}

#[test]
fn handles_from_before_a_power_loss_are_dead() {
    let directory = tempfile::tempdir().unwrap();
    let engines = memory();
    let engine = engines.open(directory.path(), &JOURNALLED).unwrap();
    engines.power_loss();
    assert!(engine.sync().is_err() && engine.write(Batch::default()).is_err());
    let next = engines.open(directory.path(), &JOURNALLED).unwrap();
    drop(engine);
    assert!(engines.open(directory.path(), &JOURNALLED).is_err(), "a dead handle does not close a live one");
    drop(next);
}

#[test]
fn a_torn_power_loss_keeps_the_first_batches() {
    let directory = tempfile::tempdir().unwrap();
    let engines = memory();
    let keys = |engine: &dyn Engine| engine.scan(&Scan::prefix(COLUMNS[0], b"", usize::MAX)).unwrap().len();
    for kept in 0..=3 {
        for journal in [false, true] {
            let options = EngineOptions { columns: &COLUMNS, journal };
            let path = directory.path().join(format!("{kept}-{journal}"));
            let engine = engines.open(&path, &options).unwrap();
            put(engine.as_ref(), b"synced");
            engine.sync().unwrap();
            for key in [b"1", b"2", b"3"] {
                put(engine.as_ref(), key);
            }
            let mut asked = Vec::new();
            engines.power_loss_torn(&mut |unsynced| {
                asked.push(unsynced);
                kept
            });
            assert_eq!(asked, [3], "stores that are synced are not asked for");
            let engine = engines.open(&path, &options).unwrap();
            assert_eq!(keys(engine.as_ref()), 1 + kept);
            assert_eq!(engine.get(COLUMNS[0], b"1").unwrap().is_some(), kept > 0);
            // What stayed is durable from then on.
            engines.power_loss();
            drop(engine);
            assert_eq!(keys(engines.open(&path, &options).unwrap().as_ref()), 1 + kept);
        }
    }
}

#[test]
fn forgotten_stores_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let engines = memory();
    for name in ["a", "b"] {
        let engine = engines.open(&directory.path().join(name), &JOURNALLED).unwrap();
        put(engine.as_ref(), b"key");
    }
    let other = engines.open(&directory.path().join("c"), &JOURNALLED).unwrap();
    engines.forget(&directory.path().join("a"));
    assert!(other.sync().is_ok(), "handles of other stores live on");
    assert!(engines.open(&directory.path().join("a"), &JOURNALLED).is_err(), "its marker is still there");
    RealFiles.remove_directory_all(&directory.path().join("a")).unwrap();
    assert!(engines.open(&directory.path().join("a"), &JOURNALLED).is_ok());
    assert!(engines.open(&directory.path().join("b"), &JOURNALLED).unwrap().get(COLUMNS[0], b"key").unwrap().is_some());
}

#[test]
fn the_memory_checkpoint_is_frozen_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let engines = memory();
    let engine = engines.open(&directory.path().join("engine"), &JOURNALLED).unwrap();
    let mut batch = Batch::default();
    batch.put(COLUMNS[0], &b"key"[..], &b"value"[..]);
    batch.put(COLUMNS[0], &b""[..], &b""[..]);
    batch.put(COLUMNS[2], &b"other"[..], &b"\xff\x00"[..]);
    engine.write(batch).unwrap();
    engine.checkpoint(&directory.path().join("copy")).unwrap();
    let file = directory.path().join("copy/checkpoint");
    let content = RealFiles.read(&file).unwrap();
    golden("memory-checkpoint.v1", &content);
    for byte in 0..content.len() {
        let mut damaged = content.clone();
        damaged[byte] ^= 0x10;
        support::overwrite(&file, &damaged);
        assert!(engines.open(&directory.path().join("copy"), &JOURNALLED).is_err(), "byte {byte}");
        support::overwrite(&file, &content[..byte]);
        assert!(engines.open(&directory.path().join("copy"), &JOURNALLED).is_err(), "cut at {byte}");
    }
}

/// The files of an open engine as a killed process would leave them.
fn as_if_killed(from: &Path, to: &Path) {
    RealFiles.create_directory_all(to).unwrap();
    for entry in RealFiles.list(from).unwrap() {
        let content = RealFiles.read(&from.join(&entry.name)).unwrap();
        RealFiles.create(&to.join(&entry.name)).unwrap().write_all_at(&content, 0).unwrap();
    }
}

#[test]
fn a_killed_rocks_keeps_its_journal_or_its_last_sync() {
    let directory = tempfile::tempdir().unwrap();
    for (sealed, journal) in [(false, true), (false, false), (true, true), (true, false)] {
        let engines = if sealed { sealed_rocks() } else { rocks() };
        let options = EngineOptions { columns: &COLUMNS, journal };
        let path = directory.path().join(format!("engine-{sealed}-{journal}"));
        let engine = engines.open(&path, &options).unwrap();
        let write = |value: &'static [u8]| {
            let mut batch = Batch::default();
            for column in COLUMNS {
                batch.put(column, &b"key"[..], value);
            }
            engine.write(batch).unwrap();
        };
        write(b"synced");
        engine.sync().unwrap();
        write(b"unsynced");
        let copy = directory.path().join(format!("copy-{sealed}-{journal}"));
        as_if_killed(&path, &copy);
        let copy = engines.open(&copy, &options).unwrap();
        let expected = if journal { &b"unsynced"[..] } else { b"synced" };
        for column in COLUMNS {
            assert_eq!(copy.get(column, b"key").unwrap().unwrap(), expected, "journal: {journal}");
        }
    }
}
