//! The Raft log of all groups of a node, in one journalled engine.
//!
//! What holds: appended entries are readable when `append` returns and durable when its callback is called; votes,
//! appends, truncations and purges of a group reach the journal in the order of the calls; a vote is durable before
//! `save_vote` returns. Group commit ([`super::group_commit`]) makes one sync serve all groups.
//!
//! Reads come straight from the engine, bounded in bytes where openraft allows it; there is no cache here.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{Stream, TryStreamExt, stream};
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use storage::exec::Exec;
use storage::kv::{Batch, Bytes, Direction, Engine, EngineOptions, Engines, Scan};
use storage::switch;
use tokio::sync::Mutex;

use super::config::{Entry, LogId, Types, Vote};
use super::error::GroupError;
use super::group_commit::GroupCommit;
use super::log_keys::{COLUMNS, LOG, LogKeys, META, OWNER};
use super::record::{EntryRecord, LogIdRecord, VoteRecord};
use super::witness::{Observer, Position};
use crate::codec::{self, Versioned};
use crate::id::GroupId;

/// Writes up to this size are made on the caller's task: they touch memory and the page cache only, and a hop to a
/// blocking thread would cost more. Larger ones go through [`Exec`].
const INLINE_WRITE_BYTES: usize = 256 << 10;

/// Entries this close to the end of the log are in the engine's memory, and are read on the caller's task.
const INLINE_READ_ENTRIES: u64 = 1024;

/// Entries that one scan of the engine may return, to bound memory when they are large.
const SCAN_ENTRIES: usize = 16;

/// The log of all groups. One per node; open it before the groups, close it after them.
#[derive(Debug)]
pub struct LogStore {
    engine: Arc<dyn Engine>,
    commits: GroupCommit,
    exec: Exec,
    /// Held while the engine is written anew.
    rewriting: Arc<Mutex<()>>,
}

impl LogStore {
    /// Opens the log in `directory`, which is created when missing. Must be called within a runtime: a task for the
    /// syncs is started.
    ///
    /// # Errors
    /// When the engine cannot be opened.
    pub async fn open(engines: Arc<dyn Engines>, directory: &Path, exec: Exec) -> Result<Arc<Self>, GroupError> {
        let directory = directory.to_owned();
        let engine =
            exec.run(move || engines.open(&directory, &EngineOptions { columns: COLUMNS, journal: true })).await?;
        let commits = GroupCommit::start(Arc::clone(&engine), exec);
        Ok(Arc::new(Self { engine, commits, exec, rewriting: Arc::default() }))
    }

    /// Whom the log belongs to, as [`set_owner`](Self::set_owner) recorded it. `None` says that nothing was ever
    /// written: a node that has voted before must not go on with such a log.
    ///
    /// # Errors
    /// When the engine cannot be read.
    pub async fn owner(&self) -> Result<Option<Bytes>, GroupError> {
        let engine = Arc::clone(&self.engine);
        Ok(self.exec.run(move || engine.get(META, OWNER)).await?)
    }

    /// Records whom the log belongs to. Durable when it returns.
    ///
    /// # Errors
    /// When the engine cannot be written.
    pub async fn set_owner(&self, owner: Bytes) -> Result<(), GroupError> {
        let engine = Arc::clone(&self.engine);
        let write = move || {
            let mut batch = Batch::default();
            batch.put(META, Bytes::from_static(OWNER), owner);
            engine.write(batch)?;
            engine.sync()
        };
        Ok(self.exec.run(write).await?)
    }

    /// Writes the whole log anew, so that nothing of it is left under another key than the current one. It is used
    /// meanwhile, but for a moment in which writes wait. It is broken off when the future is dropped.
    ///
    /// # Errors
    /// When the engine fails, or its disk has no room for it.
    pub async fn rewrite(&self) -> Result<(), GroupError> {
        let engine = Arc::clone(&self.engine);
        // Whoever closes the log waits for it.
        let rewriting = Arc::clone(&self.rewriting).lock_owned().await;
        let rewrite = move |goes_on: &dyn Fn() -> bool| {
            // The engine is let go of first: then it may be closed.
            let _until_the_end = rewriting;
            let engine = engine;
            engine.rewrite(goes_on)
        };
        Ok(self.exec.run_while(rewrite).await?)
    }

    /// Serves the syncs that are waited for and ends the task. The engine itself closes when the last
    /// `Arc<LogStore>` goes; shut the groups down first.
    pub async fn close(&self) {
        self.commits.close().await;
        let _broken_off = self.rewriting.lock().await;
    }

    /// The part of one group.
    pub(super) fn group(
        self: &Arc<Self>,
        group: GroupId,
        max_append_bytes: u64,
        observer: Option<Observer>,
    ) -> GroupLog {
        GroupLog {
            store: Arc::clone(self),
            keys: LogKeys::new(group),
            max_append_bytes,
            observer,
            next_index: Arc::new(AtomicU64::new(0)),
        }
    }

    async fn write(&self, batch: Batch, size_bytes: usize) -> io::Result<()> {
        let batch = if size_bytes > INLINE_WRITE_BYTES {
            batch
        } else {
            match self.engine.try_write(batch) {
                Ok(written) => return written.map_err(io::Error::other),
                // The engine is opened anew, which takes a while.
                Err(batch) => batch,
            }
        };
        let engine = Arc::clone(&self.engine);
        self.exec.run(move || engine.write(batch)).await.map_err(io::Error::other)
    }
}

/// The log of one group, as openraft uses it. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct GroupLog {
    store: Arc<LogStore>,
    keys: LogKeys,
    max_append_bytes: u64,
    observer: Option<Observer>,
    /// Index after the last entry, as far as this process wrote it. Decides where a read runs, nothing else.
    next_index: Arc<AtomicU64>,
}

impl GroupLog {
    /// Whether other clones of this log are held somewhere.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.next_index) > 1
    }

    /// What is where in the log's engine.
    pub(super) const fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// Writes a batch that is durable when this returns.
    pub(super) async fn write_durably(&self, batch: Batch) -> io::Result<()> {
        self.store.write(batch, 0).await?;
        self.store.commits.sync().await
    }

    /// A record of the group.
    pub(super) fn meta<T: Versioned>(&self, key: &[u8]) -> io::Result<Option<T>> {
        let value = self.store.engine.get(META, key).map_err(io::Error::other)?;
        value.map(|bytes| codec::decode(&bytes)).transpose().map_err(damaged)
    }

    /// Reads entries of `start..end` in order: at least one if there is one, and no more once `budget_bytes` are
    /// reached. Entries may be missing at the beginning (purged) and at the end (not written), never in between.
    pub(super) fn read(&self, start: u64, end: u64, budget_bytes: u64) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = start;
        while next < end {
            let scan = Scan {
                column: LOG,
                start: self.keys.entry(next),
                end: Some(self.keys.entry(end)),
                direction: Direction::Forward,
                limit: SCAN_ENTRIES.min(usize::try_from(end - next).unwrap_or(SCAN_ENTRIES)),
            };
            let pairs = self.store.engine.scan(&scan).map_err(io::Error::other)?;
            if pairs.is_empty() {
                break;
            }
            for (key, value) in pairs {
                let index = self.keys.index(&key).ok_or_else(|| damaged("a key of the log has no index"))?;
                if index != next && !entries.is_empty() {
                    return Err(damaged(format!("the log has a hole before entry {index}")));
                }
                bytes += value.len() as u64;
                if !entries.is_empty() && bytes > budget_bytes {
                    return Ok(entries);
                }
                entries.push(codec::decode::<EntryRecord>(&value).map_err(damaged)?.into());
                next = index + 1;
            }
        }
        Ok(entries)
    }

    /// [`read`](Self::read) where it belongs: near the end of the log at once, elsewhere off the asynchronous threads.
    async fn read_bounded(&self, start: u64, end: u64, budget_bytes: u64) -> io::Result<Vec<Entry>> {
        if start.saturating_add(INLINE_READ_ENTRIES) >= self.next_index.load(Ordering::Relaxed) {
            return self.read(start, end, budget_bytes);
        }
        let log = self.clone();
        self.store.exec.run(move || log.read(start, end, budget_bytes)).await
    }

    /// The range as `start..end`, cut to what the log can hold.
    fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        (start, end)
    }

    /// Tells the witness, if there is one, what the log holds.
    fn report(&self) -> io::Result<()> {
        let Some(Observer { witness, replica }) = &self.observer else { return Ok(()) };
        let vote = self.meta::<VoteRecord>(&self.keys.vote())?.map(Into::into);
        let purged = self.meta::<LogIdRecord>(&self.keys.purged())?.map(Into::into);
        let entries = self.read(0, u64::MAX, u64::MAX)?;
        let positions: Vec<Position> =
            entries.into_iter().map(|entry| LogIdRecord::from(entry.log_id).into()).collect();
        witness.opened(*replica, vote, purged, &positions);
        Ok(())
    }

    /// The last entry, or the last one that was purged.
    pub(super) fn last_position(&self) -> io::Result<Option<LogId>> {
        let purged = self.meta::<LogIdRecord>(&self.keys.purged())?;
        Ok(self.last_entry()?.or_else(|| purged.map(Into::into)))
    }

    fn last_entry(&self) -> io::Result<Option<LogId>> {
        let scan = Scan {
            column: LOG,
            start: self.keys.start(),
            end: Some(self.keys.end()),
            direction: Direction::Reverse,
            limit: 1,
        };
        let pairs = self.store.engine.scan(&scan).map_err(io::Error::other)?;
        let record =
            pairs.first().map(|(_, value)| codec::decode::<EntryRecord>(value)).transpose().map_err(damaged)?;
        Ok(record.map(|record| record.log_id.into()))
    }
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl RaftLogReader<Types> for GroupLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, io::Error> {
        let (start, end) = Self::bounds(&range);
        self.read_bounded(start, end, u64::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.meta::<VoteRecord>(&self.keys.vote())?.map(Into::into))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let budget_bytes = if switch::rare("raft.log.single_entry") { 0 } else { self.max_append_bytes };
        self.read_bounded(start, end, budget_bytes).await
    }

    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = Self::bounds(&range);
        let log = self.clone();
        stream::try_unfold((log, start), move |(log, next)| async move {
            let entries = log.read_bounded(next, end, log.max_append_bytes).await?;
            let Some(last) = entries.last() else { return Ok::<_, io::Error>(None) };
            let next = last.log_id.index + 1;
            Ok(Some((stream::iter(entries.into_iter().map(Ok)), (log, next))))
        })
        .try_flatten()
    }
}

impl RaftLogStorage<Types> for GroupLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let log = self.clone();
        let (purged, last) = self
            .store
            .exec
            .run(move || {
                log.report()?;
                Ok::<_, io::Error>((log.meta::<LogIdRecord>(&log.keys.purged())?, log.last_entry()?))
            })
            .await?;
        let last_purged_log_id: Option<LogId> = purged.map(Into::into);
        let last_log_id = last.or(last_purged_log_id);
        self.next_index.store(last_log_id.map_or(0, |id| id.index + 1), Ordering::Relaxed);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        if switch::broken("raft.log.forget_vote") {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.put(META, self.keys.vote(), codec::encode(&VoteRecord::from(*vote)));
        self.store.write(batch, 0).await?;
        self.store.commits.sync().await?;
        if let Some(Observer { witness, replica }) = &self.observer {
            witness.voted(*replica, VoteRecord::from(*vote).into());
        }
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let mut batch = Batch::default();
        match committed {
            Some(id) => batch.put(META, self.keys.committed(), codec::encode(&LogIdRecord::from(id))),
            None => batch.delete(META, self.keys.committed()),
        }
        // Not synced: an older position only means that more is applied again after a restart.
        self.store.write(batch, 0).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.meta::<LogIdRecord>(&self.keys.committed())?.map(Into::into))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = Batch::default();
        let mut size_bytes = 0;
        let mut next_index = None;
        let mut observed = Vec::new();
        for entry in entries {
            let index = entry.log_id.index;
            if self.observer.is_some() {
                observed.push(Position::from(LogIdRecord::from(entry.log_id)));
            }
            let value = Bytes::from(codec::encode(&EntryRecord::from(entry)));
            size_bytes += value.len();
            next_index = Some(index + 1);
            batch.put(LOG, self.keys.entry(index), value);
        }
        self.store.write(batch, size_bytes).await?;
        if let Some(next_index) = next_index {
            self.next_index.store(next_index, Ordering::Relaxed);
        }
        let last = observed.last().copied();
        if let Some(Observer { witness, replica }) = &self.observer {
            witness.appended(*replica, &observed);
        }
        self.store.commits.after_sync(callback, self.observer.clone().zip(last));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let first_gone = last_log_id.map_or(0, |id| id.index + 1);
        if let Some(Observer { witness, replica }) = &self.observer {
            witness.truncated(*replica, first_gone);
        }
        let mut batch = Batch::default();
        batch.delete_range(LOG, self.keys.entry(first_gone), self.keys.end());
        self.store.write(batch, 0).await?;
        self.next_index.store(first_gone, Ordering::Relaxed);
        // Rare, and worth a sync: were the old tail to come back after a crash, it could contradict what replaced it
        // and is in the flushed state already.
        self.store.commits.sync().await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        if let Some(Observer { witness, replica }) = &self.observer {
            witness.purged(*replica, LogIdRecord::from(log_id).into());
        }
        let mut batch = Batch::default();
        batch.put(META, self.keys.purged(), codec::encode(&LogIdRecord::from(log_id)));
        batch.delete_range(LOG, self.keys.start(), self.keys.entry(log_id.index + 1));
        self.store.write(batch, 0).await?;
        self.next_index.fetch_max(log_id.index + 1, Ordering::Relaxed);
        Ok(())
    }
}
