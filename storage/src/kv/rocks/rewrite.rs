//! A store written anew: its tables one after the other, then everything else by opening it once more.
//!
//! What holds: no more is written at a time than one table and what overlaps with it, after it was seen that there is
//! room; whoever breaks it off keeps what was written anew so far. A table that stays as it is is an error, whatever
//! RocksDB says of its compaction (which is nothing). While the store is opened anew, reads are served by a second
//! instance that only reads, and writes wait.

use std::collections::BTreeSet;
use std::io;
use std::mem::replace;
use std::sync::PoisonError;

use rocksdb::{BottommostLevelCompaction, CompactOptions, DB, LiveFile, ReadOptions};

use super::{Open, RocksEngine};
use crate::disk::{Files, RealFiles, room_for};
use crate::kv::{Column, EngineError};
use crate::seal::{self, DataKey, KeyId};

/// Bytes that are read before it is asked again whether anybody waits for it.
const BYTES_UNASKED: usize = 1 << 20;

impl RocksEngine {
    /// Writes all of it anew that does not lie under the current key.
    pub(super) fn write_anew(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        let _one_at_a_time = self.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
        // One that could not be opened again the last time is opened now.
        if !self.open.read().unwrap_or_else(PoisonError::into_inner).writable {
            return self.open_anew();
        }
        self.flush(&*self.writable()?)?;
        let current = self.current_key();
        for column in self.columns {
            match self.compact(*column, current, goes_on) {
                // RocksDB stops its background work after some errors: opening it anew ends that, too, if nothing came in
                // meanwhile that it would have to write out first.
                Err(stuck @ EngineError::Engine { .. }) if goes_on() => return self.open_anew().and(Err(stuck)),
                result => result?,
            }
        }
        self.check(goes_on)?;
        self.open_anew()
    }

    fn current_key(&self) -> Option<KeyId> {
        self.shared.keys.load().current().map(DataKey::id)
    }

    fn check(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        if goes_on() { Ok(()) } else { Err(self.failed("writing it anew was broken off")) }
    }

    /// Compacts a column, table by table, until none is left that does not lie under this key.
    fn compact(&self, column: Column, current: Option<KeyId>, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        let mut tried = BTreeSet::new();
        loop {
            self.check(goes_on)?;
            let db = self.db();
            let mut tables = db.live_files().map_err(|error| self.failed(error))?;
            tables.retain(|table| table.column_family_name == column.0);
            let Some(stale) = self.stale(&tables, current)? else { return Ok(()) };
            if !tried.insert(stale.name.clone()) {
                let text = format!("{} stays as it is: RocksDB cannot compact it", stale.name.trim_start_matches('/'));
                return Err(self.failed(text));
            }
            let step = Step::of(stale, &tables);
            let room = room_for(self.shared.files.as_ref(), &self.path, step.bytes);
            room.map_err(|error| self.failed(error))?
                .map_err(|missing| EngineError::NoRoom { path: self.path.clone(), missing })?;
            self.read_through(&db, column, &step, goes_on)?;
            let mut options = CompactOptions::default();
            // Beside the others, so that nobody's writes wait for the whole of it.
            options.set_exclusive_manual_compaction(false);
            // The last level too, but nothing twice.
            options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
            let (start, end) = (stale.start_key.as_deref(), stale.end_key.as_deref());
            db.compact_range_cf_opt(self.column(&db, column)?, start, end, &options);
        }
    }

    /// Reads all that a step reads. A compaction that meets damage stops the engine, writes included, and with it the node,
    /// which would meet it again after each start. So the table stays as it is, and whoever asks is told.
    fn read_through(
        &self,
        db: &DB,
        column: Column,
        step: &Step<'_>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(), EngineError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        #[expect(deprecated, reason = "for its meaning, not its speed: what is deleted is read, too")]
        options.set_ignore_range_deletions(true);
        let mut iterator = db.raw_iterator_cf_opt(self.column(db, column)?, options);
        match step.start {
            Some(start) => iterator.seek(start),
            None => iterator.seek_to_first(),
        }
        let mut read = 0_usize;
        while let Some(key) = iterator.key().filter(|key| step.end.is_none_or(|end| *key <= end)) {
            read += key.len() + iterator.value().map_or(0, <[u8]>::len);
            if read > BYTES_UNASKED {
                self.check(goes_on)?;
                read = 0;
            }
            iterator.next();
        }
        let name = step.name.trim_start_matches('/');
        iterator.status().map_err(|error| self.failed(format!("{name} stays as it is: it cannot be read: {error}")))
    }

    /// A table that lies under another key than this one, and than the newest there is.
    fn stale<'a>(&self, tables: &'a [LiveFile], current: Option<KeyId>) -> Result<Option<&'a LiveFile>, EngineError> {
        for table in tables {
            match seal::files::key_of(&RealFiles, &self.path.join(table.name.trim_start_matches('/'))) {
                Ok(key) if key == current || key == self.current_key() => {}
                // Compacted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) => return Ok(Some(table)),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(None)
    }

    /// Closes the engine and opens it again, which writes journal, manifest and settings anew: it is the one way to have
    /// all of them so.
    fn open_anew(&self) -> Result<(), EngineError> {
        // Nobody writes until the end.
        let _alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        if self.open.read().unwrap_or_else(PoisonError::into_inner).writable {
            self.flush(&self.db())?;
            let reading = self.open_to_read()?;
            // Out of the lock: this closes it.
            drop(self.take_into_use(Open { db: reading, writable: false }));
        }
        let renewed = self.renew_rest();
        let db = self.shared.open(&self.path, self.columns, self.journal)?;
        drop(self.take_into_use(Open { db, writable: true }));
        renewed.map_err(|error| self.failed(error))
    }

    /// A second instance that holds all that has been flushed, and is not disturbed by what the first one does.
    fn open_to_read(&self) -> Result<DB, EngineError> {
        let db = self.db();
        // It opens every table before this ends: what is removed later, it has.
        db.disable_file_deletions().map_err(|error| self.failed(error))?;
        let reading = self.shared.open_to_read(&self.path, self.columns, self.journal);
        if reading.is_err() {
            db.enable_file_deletions().map_err(|error| self.failed(error))?;
        }
        reading
    }

    /// Serves another instance from now on. Waits for the reads that are in progress.
    fn take_into_use(&self, next: Open) -> Open {
        replace(&mut *self.open.write().unwrap_or_else(PoisonError::into_inner), next)
    }

    /// Sees to the files that opening does not write anew, while the engine is closed: the identity, and what RocksDB
    /// keeps of settings and messages from before.
    fn renew_rest(&self) -> io::Result<()> {
        let current = self.current_key();
        for entry in RealFiles.list(&self.path)? {
            let path = self.path.join(&entry.name);
            if entry.name == "IDENTITY" {
                seal::files::rewrite(&RealFiles, &self.shared.keys, &path, &path.with_extension("tmp"))?;
            } else if (entry.name.starts_with("OPTIONS-") || entry.name.starts_with("LOG"))
                && seal::files::key_of(&RealFiles, &path)? != current
            {
                RealFiles.remove(&path)?;
            }
        }
        Ok(())
    }
}

/// What compacting a table takes: its own keys, and those of all tables that overlap with it. Of the first level, whose tables
/// overlap with each other, RocksDB takes all that hang together.
struct Step<'a> {
    name: &'a str,
    start: Option<&'a [u8]>,
    end: Option<&'a [u8]>,
    /// Bytes that it writes at most, beside all there is.
    bytes: u64,
}

impl<'a> Step<'a> {
    fn of(table: &'a LiveFile, tables: &'a [LiveFile]) -> Self {
        let (mut start, mut end) = (table.start_key.as_deref(), table.end_key.as_deref());
        let overlaps = |other: &LiveFile, start: Option<&[u8]>, end: Option<&[u8]>| {
            (other.end_key.is_none() || start.is_none() || other.end_key.as_deref() >= start)
                && (other.start_key.is_none() || end.is_none() || other.start_key.as_deref() <= end)
        };
        let mut grows = true;
        while grows {
            grows = false;
            for other in tables.iter().filter(|other| other.level == 0) {
                if overlaps(other, start, end) && (other.start_key.as_deref() < start || other.end_key.as_deref() > end)
                {
                    (start, end) = (start.min(other.start_key.as_deref()), end.max(other.end_key.as_deref()));
                    grows = true;
                }
            }
        }
        let taken = || tables.iter().filter(|other| overlaps(other, start, end));
        Self {
            name: &table.name,
            start: taken().map(|other| other.start_key.as_deref()).min().flatten(),
            end: taken()
                .map(|other| other.end_key.as_deref())
                .collect::<Option<Vec<_>>>()
                .and_then(|ends| ends.into_iter().max()),
            bytes: taken().map(|other| other.size as u64).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Batch, Engine, EngineOptions, RocksEngines};
    use crate::seal::{Keyring, Keys};

    const OPTIONS: EngineOptions = EngineOptions { columns: &[Column("column")], journal: false };

    #[test]
    fn a_table_that_stays_as_it_is_is_named_whatever_rocksdb_says() {
        let directory = tempfile::tempdir().unwrap();
        let ring = |current| {
            let keys = [1, 2].map(|number| DataKey::new(KeyId([number; 16]), [number; 32]));
            Keyring::new(keys, Some(KeyId([current; 16]))).unwrap()
        };
        let keys = Keys::new(ring(1), |bytes| bytes.fill(7));
        let shared = RocksEngines::new(keys.clone()).shared;
        let engine = RocksEngine::open(&shared, directory.path(), &OPTIONS).unwrap();
        let mut batch = Batch::default();
        // It does not shrink.
        let value: Vec<u8> = (1..=400_000u32).map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()[2]).collect();
        batch.put(Column("column"), "key", value);
        engine.write(batch).unwrap();
        engine.sync().unwrap();
        drop(engine);
        let is_table = |name: &String| name.rsplit_once('.').is_some_and(|(_, extension)| extension == "sst");
        let names = RealFiles.list(directory.path()).unwrap().into_iter().map(|entry| entry.name);
        let [table] = names.filter(is_table).collect::<Vec<_>>().try_into().unwrap();
        let path = directory.path().join(&table);
        let mut content = RealFiles.read(&path).unwrap();
        content[2000] ^= 1;
        RealFiles.replace(&path, &content).unwrap();

        let engine = RocksEngine::open(&shared, directory.path(), &OPTIONS).unwrap();
        keys.swap(ring(2));
        let error = engine.compact(Column("column"), Some(KeyId([2; 16])), &|| true).unwrap_err().to_string();
        assert!(error.contains(&format!("{table} stays as it is")), "{error}");
    }

    fn table(level: i32, start: &str, end: &str, size: usize) -> LiveFile {
        LiveFile {
            column_family_name: "column".to_owned(),
            name: format!("/{start}.sst"),
            size,
            level,
            start_key: Some(start.as_bytes().to_vec()),
            end_key: Some(end.as_bytes().to_vec()),
            num_entries: 1,
            num_deletions: 0,
        }
    }

    #[test]
    fn a_step_takes_what_overlaps_and_no_more() {
        let tables = [
            table(6, "a", "c", 1),
            table(6, "d", "f", 10),
            table(6, "x", "z", 100),
            table(5, "b", "e", 1000),
            table(0, "e", "g", 10_000),
            table(0, "g", "y", 100_000),
        ];
        let Step { start, end, bytes, .. } = Step::of(&tables[0], &tables);
        assert_eq!((start, end, bytes), (Some(&b"a"[..]), Some(&b"e"[..]), 1001));
        let Step { start, end, bytes, .. } = Step::of(&tables[2], &tables);
        assert_eq!((start, end, bytes), (Some(&b"b"[..]), Some(&b"z"[..]), 111_110), "what hangs together");
        assert_eq!(Step::of(&tables[2], &tables[..4]).bytes, 100);
    }
}
