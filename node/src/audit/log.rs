//! The log on disk, as its one writer holds it: what comes next, and what is written but not durable yet. Blocks.
//!
//! Bytes that are not durable stay in memory. When a write or a sync fails, nothing is known of what the disk holds of them:
//! they are written again to the same place, so that a record is neither lost nor there twice.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use raft::time::Timestamp;
use storage::disk::{File, Files};

use super::event::AuditEvent;
use super::record::{self, Hash, NOTHING_BEFORE, Place, Removed};
use super::retention::{Kept, Retention};
use super::segment::{self, SEGMENT_BYTES, SEGMENT_MILLISECONDS};

/// The newest record that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) hash: Hash,
    pub(super) time: Timestamp,
}

/// The log of one node.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) files: Arc<dyn Files>,
    pub(super) directory: PathBuf,
    pub(super) node: u64,
    /// Number and predecessor of the next record.
    pub(super) next: u64,
    pub(super) previous: Hash,
    /// The newest record, durable or not.
    pub(super) newest: Option<Head>,
    /// All segments, the oldest first; the last one is written.
    pub(super) segments: Vec<Kept>,
    /// The file of the last one. `None`: a new one has to be begun.
    pub(super) file: Option<Box<dyn File>>,
    /// Bytes of it that are durable.
    pub(super) durable_bytes: u64,
    /// What stands behind them, or is to stand there.
    pub(super) tail: Vec<u8>,
    /// Bytes of the tail that were written.
    pub(super) written: usize,
    /// Length after which a segment is closed.
    pub(super) segment_bytes: u64,
}

impl Log {
    /// A log without any record, whose directory exists.
    pub(super) fn empty(files: Arc<dyn Files>, directory: PathBuf, node: u64) -> Self {
        Self {
            files,
            directory,
            node,
            next: 1,
            previous: NOTHING_BEFORE,
            newest: None,
            segments: Vec::new(),
            file: None,
            durable_bytes: 0,
            tail: Vec::new(),
            written: 0,
            segment_bytes: SEGMENT_BYTES,
        }
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether everything that was noted is durable.
    pub(super) fn is_durable(&self) -> bool {
        self.tail.is_empty()
    }

    /// Gives an event its number and its place in the chain. It is written by [`write`](Self::write).
    pub(super) fn note(&mut self, time: Timestamp, event: &AuditEvent, removed: Option<&Removed>) {
        let place = Place { sequence: self.next, node: self.node, previous: self.previous };
        self.previous = record::write(&mut self.tail, place, time, event, removed);
        self.newest = Some(Head { sequence: self.next, hash: self.previous, time });
        self.next += 1;
    }

    /// Writes what was noted. Once this has failed it is to be repeated, before anything else is noted.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.written == self.tail.len() {
            return Ok(());
        }
        if self.file.is_none() {
            self.begin_segment()?;
        }
        let file = self.file.as_ref().expect("a segment was begun");
        file.write_all_at(&self.tail[self.written..], self.durable_bytes + self.written as u64)?;
        self.written = self.tail.len();
        if let Some(last) = self.segments.last_mut() {
            last.bytes = self.durable_bytes + self.written as u64;
        }
        Ok(())
    }

    /// Makes all that was noted durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        if self.tail.is_empty() {
            return Ok(());
        }
        if let Some(file) = &self.file
            && let Err(error) = file.sync()
        {
            // The system may have dropped what it could not write.
            self.written = 0;
            return Err(error);
        }
        self.durable_bytes += self.tail.len() as u64;
        self.tail.clear();
        self.tail.shrink_to(1 << 20);
        self.written = 0;
        Ok(())
    }

    /// Whether the next record begins a segment: the present one is long or old enough. Everything has to be durable.
    pub(super) fn close_if_full(&mut self, now: Timestamp) {
        let Some(last) = self.segments.last() else { return };
        let is_old = now.0.saturating_sub(last.time.0) >= SEGMENT_MILLISECONDS;
        if self.is_durable() && (self.durable_bytes >= self.segment_bytes || is_old && self.durable_bytes > 0) {
            self.file = None;
        }
    }

    /// Begins the segment whose first record is the first one of the tail.
    fn begin_segment(&mut self) -> io::Result<()> {
        let line = self.tail.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let (first, _) = record::read(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let (first, time) = (first.sequence, self.newest.map_or(Timestamp(0), |head| head.time));
        let path = segment::path(&self.directory, first);
        let file = match self.files.create(&path) {
            // An attempt before this one got so far.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.files.open(&path)?,
            file => file?,
        };
        self.files.sync_directory(&self.directory)?;
        self.segments.push(Kept { first, time, bytes: 0 });
        (self.file, self.durable_bytes) = (Some(file), 0);
        Ok(())
    }

    /// Announces in a record what retention removes, and removes it. Everything noted before has to be durable, and all of it
    /// is so afterwards. How many records went.
    pub(super) fn retain(&mut self, retention: Retention, now: Timestamp) -> io::Result<u64> {
        let count = retention.to_remove(&self.segments, now);
        let Some(next) = self.segments.get(count).filter(|_| count > 0) else { return Ok(0) };
        let (first, last) = (self.segments[0].first, next.first - 1);
        let hash = super::recover::last_hash(self.files.as_ref(), &self.directory, self.segments[count - 1].first)?;
        let removed = Removed { first, last, hash: hash.map(hex::encode).unwrap_or_default() };
        let event = AuditEvent::new("retention", "regnode")
            .detail(format!("records {first} to {last} are removed: audit.retention_days, audit.max_bytes"));
        self.note(now, &event, Some(&removed));
        self.sync()?;
        // Always the oldest: a later one that goes before it looks as if somebody else had taken it.
        for _ in 0..count {
            match self.files.remove(&segment::path(&self.directory, self.segments[0].first)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => drop(self.segments.remove(0)),
            }
        }
        let oldest = self.segments.first().map_or(self.next, |segment| segment.first);
        for cut in segment::list_cuts(self.files.as_ref(), &self.directory)? {
            if cut.first <= oldest {
                self.files.remove(&segment::cut_path(&self.directory, cut.first))?;
            }
        }
        self.files.sync_directory(&self.directory)?;
        Ok(last - first + 1)
    }
}
