//! RocksDB under keys: what reaches the disk, what is read with other keys, crashes, rotation, checkpoints that travel.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use storage::disk::{Files, RealFiles};
use storage::kv::{Batch, Column, Engine, EngineOptions, Engines, MemoryEngines, RocksEngines, Scan};
use storage::seal::{Keys, Seals, survey};
use support::{bytes, key_id, keyring, keys};

const COLUMN: Column = Column("column");
const OTHER: Column = Column("other");
const JOURNALLED: EngineOptions = EngineOptions { columns: &[COLUMN, OTHER], journal: true };
const PLAIN: EngineOptions = EngineOptions { columns: &[COLUMN, OTHER], journal: false };
/// Part of every key and value: seen nowhere on the disk.
const WORD: &[u8] = b"a word that nobody else writes";

fn key(number: u32) -> Bytes {
    [WORD, b" key ", number.to_string().as_bytes()].concat().into()
}

fn value(number: u32) -> Bytes {
    [WORD, b" value ", &bytes(u64::from(number), 300)].concat().into()
}

fn fill(engine: &dyn Engine, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut batch = Batch::default();
        batch.put(COLUMN, key(number), value(number));
        batch.put(OTHER, value(number).slice(..40), key(number));
        engine.write(batch).unwrap();
    }
}

fn holds(engine: &dyn Engine, numbers: u32) {
    for number in 0..numbers {
        assert_eq!(engine.get(COLUMN, &key(number)).unwrap(), Some(value(number)), "{number}");
    }
    assert_eq!(engine.scan(&Scan::prefix(COLUMN, b"", usize::MAX)).unwrap().len(), numbers as usize);
}

fn files(directory: &Path) -> Vec<PathBuf> {
    RealFiles.list(directory).unwrap().iter().map(|entry| directory.join(&entry.name)).collect()
}

fn tells(directory: &Path) -> Vec<PathBuf> {
    let tells = |path: &PathBuf| match RealFiles.read(path) {
        Ok(content) => content.windows(12).any(|window| window == &WORD[..12]),
        // Compacted meanwhile.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    files(directory).into_iter().filter(tells).collect()
}

fn only(seals: &Seals, key: Option<u8>) -> bool {
    seals.keys().copied().collect::<Vec<_>>() == [key.map(key_id)]
}

#[test]
fn nothing_of_the_content_reaches_the_disk() {
    for (options, words) in [(JOURNALLED, true), (PLAIN, true), (JOURNALLED, false)] {
        let directory = tempfile::tempdir().unwrap();
        let keys = if words { keys(&[1], Some(1)) } else { Keys::clear() };
        let engine = RocksEngines::new(keys).open(directory.path(), &options).unwrap();
        fill(engine.as_ref(), 0..2000);
        engine.sync().unwrap();
        engine.rewrite(&|| true).unwrap();
        fill(engine.as_ref(), 2000..2100);
        engine.sync().unwrap();
        // In the clear the same look finds it.
        assert_eq!(tells(directory.path()).is_empty(), words, "{:?}", tells(directory.path()));
        if words {
            assert!(only(&engine.seals().unwrap(), Some(1)), "{:?}", engine.seals());
            for path in files(directory.path()) {
                let content = RealFiles.read(&path).unwrap();
                assert!(content.is_empty() || content.starts_with(b"RGNSEALD"), "{path:?}");
            }
        }
        holds(engine.as_ref(), 2100);
    }
}

#[test]
fn without_the_key_an_engine_does_not_open_and_says_which_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = RocksEngines::new(keys(&[1], Some(1))).open(directory.path(), &JOURNALLED).unwrap();
    fill(engine.as_ref(), 0..10);
    engine.sync().unwrap();
    drop(engine);
    for other in [Keys::clear(), keys(&[2], Some(2))] {
        let error = RocksEngines::new(other).open(directory.path(), &JOURNALLED).unwrap_err().to_string();
        assert!(error.contains(&key_id(1).to_string()) && error.contains("keyring"), "{error}");
    }
    holds(RocksEngines::new(keys(&[2, 1], Some(2))).open(directory.path(), &JOURNALLED).unwrap().as_ref(), 10);
}

#[test]
fn every_file_lies_under_the_new_key_after_a_rewrite() {
    for options in [JOURNALLED, PLAIN] {
        let directory = tempfile::tempdir().unwrap();
        let keys = keys(&[1, 2], Some(1));
        let engines = RocksEngines::new(keys.clone());
        let engine = engines.open(directory.path(), &options).unwrap();
        for round in 0..4 {
            fill(engine.as_ref(), round * 500..round * 500 + 500);
            engine.sync().unwrap();
        }
        // Begun under the old key, gone on with under the new one.
        keys.swap(keyring(&[1, 2], Some(2)));
        fill(engine.as_ref(), 2000..2500);
        engine.sync().unwrap();
        assert!(engine.seals().unwrap().contains_key(&Some(key_id(1))));
        engine.rewrite(&|| true).unwrap();
        assert!(only(&engine.seals().unwrap(), Some(2)), "{:?}", engine.seals());
        holds(engine.as_ref(), 2500);
        drop(engine);
        keys.swap(keyring(&[2], Some(2)));
        let engine = engines.open(directory.path(), &options).unwrap();
        holds(engine.as_ref(), 2500);
        fill(engine.as_ref(), 2500..2510);
    }
}

#[test]
fn an_engine_from_before_encryption_is_opened_and_sealed_later_and_the_way_back() {
    for options in [JOURNALLED, PLAIN] {
        let directory = tempfile::tempdir().unwrap();
        let engine = RocksEngines::new(Keys::clear()).open(directory.path(), &options).unwrap();
        fill(engine.as_ref(), 0..1500);
        engine.sync().unwrap();
        assert!(only(&engine.seals().unwrap(), None));
        drop(engine);

        let engine = RocksEngines::new(keys(&[1], Some(1))).open(directory.path(), &options).unwrap();
        holds(engine.as_ref(), 1500);
        fill(engine.as_ref(), 1500..1600);
        engine.sync().unwrap();
        assert_eq!(engine.seals().unwrap().len(), 2, "old files are in the clear, new ones sealed");
        engine.rewrite(&|| true).unwrap();
        assert!(only(&engine.seals().unwrap(), Some(1)), "{:?}", engine.seals());
        drop(engine);

        let engine = RocksEngines::new(keys(&[1], None)).open(directory.path(), &options).unwrap();
        holds(engine.as_ref(), 1600);
        engine.rewrite(&|| true).unwrap();
        assert!(only(&engine.seals().unwrap(), None), "{:?}", engine.seals());
        drop(engine);
        holds(RocksEngines::new(Keys::clear()).open(directory.path(), &options).unwrap().as_ref(), 1600);
    }
}

#[test]
fn encryption_that_is_turned_on_meanwhile_writes_over_no_old_journal() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&[1], None);
    let engine = RocksEngines::new(keys.clone()).open(directory.path(), &JOURNALLED).unwrap();
    fill(engine.as_ref(), 0..200);
    engine.sync().unwrap();
    keys.swap(keyring(&[1], Some(1)));
    engine.rewrite(&|| true).unwrap();
    fill(engine.as_ref(), 200..400);
    engine.sync().unwrap();
    assert!(only(&engine.seals().unwrap(), Some(1)), "{:?}", engine.seals());
    holds(engine.as_ref(), 400);
}

#[test]
fn what_is_written_after_encryption_is_turned_on_goes_into_no_old_journal_file() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&[1], None);
    // Opened without a key, it writes over old journal files.
    let engine = RocksEngines::new(keys.clone()).open(directory.path(), &JOURNALLED).unwrap();
    // Enough for some journals, one after the other.
    let fill_journals = |byte: u8| {
        for number in 0..50u32 {
            let mut batch = Batch::default();
            batch.put(OTHER, number.to_be_bytes().to_vec(), vec![byte; 1 << 20]);
            engine.write(batch).unwrap();
        }
        engine.sync().unwrap();
    };
    fill_journals(1);
    keys.swap(keyring(&[1], Some(1)));
    fill_journals(2);
    fill(engine.as_ref(), 0..10);
    engine.sync().unwrap();
    assert_eq!(tells(directory.path()), Vec::<PathBuf>::new());
    holds(engine.as_ref(), 10);
}

/// The files of an open engine as a killed process or a power cut would leave them, `cut` bytes off its newest journal.
fn crashed(from: &Path, to: &Path, cut: usize) {
    RealFiles.create_directory_all(to).unwrap();
    let journal = journal(from);
    for path in files(from) {
        let mut content = RealFiles.read(&path).unwrap();
        if path == journal {
            content.truncate(content.len() - cut);
        }
        let name = path.file_name().unwrap();
        RealFiles.create(&to.join(name)).unwrap().write_all_at(&content, 0).unwrap();
    }
}

fn journal(directory: &Path) -> PathBuf {
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    files(directory).into_iter().rfind(is_journal).unwrap()
}

#[test]
fn a_journal_that_a_power_cut_tore_gives_back_what_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let engines = RocksEngines::new(keys(&[1], Some(1)));
    let engine = engines.open(&directory.path().join("engine"), &JOURNALLED).unwrap();
    for number in 0..3 {
        fill(engine.as_ref(), number..number + 1);
        engine.sync().unwrap();
    }
    let from = directory.path().join("engine");
    let length = RealFiles.read(&journal(&from)).unwrap().len();
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..length - 80).step_by(7) {
        let copy = directory.path().join("copy");
        crashed(&from, &copy, cut);
        let opened = engines.open(&copy, &JOURNALLED).unwrap();
        let there = (0..3).take_while(|number| opened.get(COLUMN, &key(*number)).unwrap().is_some()).count();
        let scanned = opened.scan(&Scan::prefix(COLUMN, b"", usize::MAX)).unwrap().len();
        assert_eq!(there, scanned, "a first part of what was written, and nothing else");
        seen.insert(there);
        drop(opened);
        RealFiles.remove_directory_all(&copy).unwrap();
    }
    assert_eq!(seen, [0, 1, 2, 3].into());
}

#[test]
fn a_journal_damaged_where_it_was_durable_keeps_the_engine_closed() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("engine");
    let engines = RocksEngines::new(keys(&[1], Some(1)));
    let engine = engines.open(&from, &JOURNALLED).unwrap();
    for number in 0..4 {
        fill(engine.as_ref(), number..number + 1);
        engine.sync().unwrap();
    }
    let copy = directory.path().join("copy");
    crashed(&from, &copy, 0);
    let path = journal(&copy);
    let mut content = RealFiles.read(&path).unwrap();
    content[200] ^= 1;
    support::overwrite(&path, &content);
    let error = engines.open(&copy, &JOURNALLED).unwrap_err().to_string();
    assert!(error.contains("durable") && error.contains(".log"), "{error}");
}

#[test]
fn damaged_tables_and_manifests_are_never_believed() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("engine");
    let engines = RocksEngines::new(keys(&[1], Some(1)));
    let engine = engines.open(&from, &PLAIN).unwrap();
    fill(engine.as_ref(), 0..500);
    engine.sync().unwrap();
    drop(engine);
    for path in files(&from) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "sst") && !name.starts_with("MANIFEST") {
            continue;
        }
        let whole = RealFiles.read(&path).unwrap();
        for position in (8..whole.len()).step_by(whole.len() / 17 + 1) {
            let copy = directory.path().join("copy");
            crashed(&from, &copy, 0);
            let mut content = whole.clone();
            content[position] ^= 4;
            support::overwrite(&copy.join(&name), &content);
            // Whatever still opens gives right answers or errors.
            if let Ok(engine) = engines.open(&copy, &PLAIN) {
                let scan = engine.scan(&Scan::prefix(COLUMN, b"", usize::MAX));
                assert!(scan.is_err() || scan.unwrap().len() == 500, "{name} {position}");
                for number in 0..500 {
                    if let Ok(found) = engine.get(COLUMN, &key(number)) {
                        assert_eq!(found, Some(value(number)), "{name} {position}");
                    }
                }
            }
            RealFiles.remove_directory_all(&copy).unwrap();
        }
    }
}

/// Carries the files of a checkpoint as a snapshot does.
fn carry(from: &dyn Engines, checkpoint: &Path, to: &dyn Engines, directory: &Path) {
    RealFiles.create_directory_all(directory).unwrap();
    for path in files(checkpoint) {
        let reader = from.read_checkpoint_file(&path).unwrap();
        let mut writer = to.create_checkpoint_file(&directory.join(path.file_name().unwrap())).unwrap();
        let length = reader.length_bytes();
        let mut offset = 0;
        while offset < length {
            let mut piece = vec![0; usize::try_from(length - offset).unwrap().min(5000)];
            reader.read_exact_at(&mut piece, offset).unwrap();
            writer.append(&piece).unwrap();
            offset += piece.len() as u64;
        }
        assert!(reader.read_exact_at(&mut [0], length).is_err());
        writer.finish().unwrap();
    }
}

fn travels(open: impl Fn(Keys) -> Arc<dyn Engines>) {
    let cases = [(Some(1), Some(2)), (Some(1), None), (None, Some(2))];
    for (here, there) in cases {
        let directory = tempfile::tempdir().unwrap();
        let sender = open(keys(&[1], here));
        let receiver = open(keys(&[2], there));
        let engine = sender.open(&directory.path().join("engine"), &PLAIN).unwrap();
        fill(engine.as_ref(), 0..1000);
        let checkpoint = directory.path().join("checkpoint");
        engine.checkpoint(&checkpoint).unwrap();
        // Written to after the checkpoint: not in it.
        fill(engine.as_ref(), 1000..1001);
        let arrived = directory.path().join("arrived");
        carry(sender.as_ref(), &checkpoint, receiver.as_ref(), &arrived);
        assert!(only(&survey(&RealFiles, &arrived).unwrap(), there), "{here:?} {there:?}");
        assert_eq!(tells(&arrived).is_empty(), there.is_some());
        holds(receiver.open(&arrived, &PLAIN).unwrap().as_ref(), 1000);
        if let (Some(_), Some(_)) = (here, there) {
            let error = receiver.open(&checkpoint, &PLAIN).unwrap_err().to_string();
            assert!(error.contains(&key_id(1).to_string()), "{error}");
        }
    }
}

#[test]
fn a_checkpoint_of_rocks_is_opened_under_another_key_elsewhere() {
    travels(|keys| Arc::new(RocksEngines::new(keys)));
}

#[test]
fn a_checkpoint_of_memory_is_opened_under_another_key_elsewhere() {
    travels(|keys| Arc::new(MemoryEngines::with_keys(Arc::new(RealFiles), keys)));
}
