//! Opens the log of a node again: finds where its chain ends, and cuts off what a crash has left behind that. Blocks.
//!
//! Only bytes that were never durable can be damaged by a crash, and they stand at the end of the newest segment. But an
//! altered record there looks the same, so nothing is thrown away: what cannot be read is put beside the log (`.cut`), the
//! first record after the start says so, and `verify` finds what is missing by what the cluster was told.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft::time::Timestamp;
use storage::disk::{File, Files};

use super::lines::{Lines, Next};
use super::log::{Head, Log};
use super::moment;
use super::record::{self, Hash, LINE_BYTES_MAX, SEQUENCE_MAX};
use super::retention::Kept;
use super::segment;

/// Bytes that are copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What opening the log has found, for its next record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes behind the last record that could not be read.
    pub(super) cut_bytes: u64,
    /// Records that the cluster was told of and that are not there: the first and the last.
    pub(super) missing: Option<(u64, u64)>,
}

/// Opens the log, or begins it. `told` is the newest record that the cluster was told of.
pub(super) fn open(
    files: &Arc<dyn Files>,
    directory: &Path,
    node: u64,
    told: Option<Head>,
) -> io::Result<(Log, Found)> {
    files.create_directory_durable(directory)?;
    let mut log = Log::empty(Arc::clone(files), directory.to_owned(), node);
    let mut found = Found::default();
    let mut segments = segment::list(files.as_ref(), directory)?;
    while let Some(newest) = segments.last() {
        let path = segment::path(directory, newest.first);
        let end = good_end(files.open(&path)?)?;
        let Some(head) = end.head else {
            found.cut_bytes += newest.bytes;
            set_aside(files.as_ref(), directory, &path, newest.first)?;
            segments.pop();
            continue;
        };
        if end.bytes < newest.bytes {
            found.cut_bytes += newest.bytes - end.bytes;
            cut(files.as_ref(), directory, &path, end.bytes, head.sequence + 1)?;
        }
        (log.next, log.previous, log.newest) = (head.sequence + 1, head.hash, Some(head));
        (log.file, log.durable_bytes) = (Some(files.open(&path)?), end.bytes);
        break;
    }
    for known in &segments {
        let time = first_time(files.open(&segment::path(directory, known.first))?)?;
        log.segments.push(Kept { first: known.first, time, bytes: known.bytes });
    }
    if let Some(last) = log.segments.last_mut() {
        last.bytes = log.durable_bytes;
    }
    // `read` takes only records whose numbers have successors; the cluster may have been told nonsense.
    let after = |head: &Head| head.sequence.checked_add(1).filter(|next| *next <= SEQUENCE_MAX);
    if let Some((told, next)) = told.and_then(|told| Some((told, after(&told)?))).filter(|(_, next)| *next > log.next) {
        found.missing = Some((log.next, told.sequence));
        // What is written now is the successor of what the cluster knows, not a second record of the same number.
        (log.next, log.previous) = (next, told.hash);
        log.file = None;
    }
    Ok((log, found))
}

/// How far a segment can be read.
struct End {
    /// Bytes up to the end of its last good record.
    bytes: u64,
    /// That record.
    head: Option<Head>,
}

fn good_end(file: Box<dyn File>) -> io::Result<End> {
    let mut lines = Lines::new(file, 0);
    let mut end = End { bytes: 0, head: None };
    loop {
        let head = match lines.next()? {
            Next::Line(line) => match record::read(line) {
                Ok((record, hash)) => {
                    let follows = end.head.is_none_or(|last| {
                        record.sequence == last.sequence + 1 && record::hash_of(&record.previous) == Some(last.hash)
                    });
                    let time = moment::read(&record.time).unwrap_or_default();
                    follows.then_some(Head { sequence: record.sequence, hash, time })
                }
                Err(_) => None,
            },
            Next::TooLong | Next::Torn(_) | Next::End => None,
        };
        if head.is_none() {
            return Ok(end);
        }
        end = End { bytes: lines.offset(), head };
    }
}

/// Time of the first record of a segment; of one that cannot be read, the beginning of time.
fn first_time(file: Box<dyn File>) -> io::Result<Timestamp> {
    let mut lines = Lines::new(file, 0);
    Ok(match lines.next()? {
        Next::Line(line) => record::parse(line).and_then(|record| moment::read(&record.time)).unwrap_or_default(),
        _ => Timestamp::default(),
    })
}

/// Hash of the last record of a segment, if it can be read.
pub(super) fn last_hash(files: &dyn Files, directory: &Path, first: u64) -> io::Result<Option<Hash>> {
    let file = files.open(&segment::path(directory, first))?;
    let length = file.length()?;
    let begin = length.saturating_sub(2 * LINE_BYTES_MAX as u64);
    let bytes = file.read_vec_at(usize::try_from(length - begin).unwrap_or(0), begin)?;
    let Some(bytes) = bytes.strip_suffix(b"\n") else { return Ok(None) };
    let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(record::read(line).ok().map(|(_, hash)| hash))
}

/// Puts a segment without any good record beside the log.
fn set_aside(files: &dyn Files, directory: &Path, path: &Path, first: u64) -> io::Result<()> {
    if files.open(path)?.length()? == 0 {
        // It was begun when the node died.
        files.remove(path)?;
    } else {
        files.rename(path, &segment::cut_path(directory, first))?;
    }
    files.sync_directory(directory)
}

/// Shortens a segment, and keeps what is cut off beside it.
fn cut(files: &dyn Files, directory: &Path, path: &Path, bytes: u64, next: u64) -> io::Result<()> {
    let file = files.open(path)?;
    let length = file.length()?;
    copy(files, file.as_ref(), (bytes, length), &segment::cut_path(directory, next))?;
    copy(files, file.as_ref(), (0, bytes), path)?;
    files.sync_directory(directory)
}

/// Makes a part of a file a file of its own.
fn copy(files: &dyn Files, from: &dyn File, (begin, end): (u64, u64), to: &Path) -> io::Result<()> {
    let temporary: PathBuf = to.with_extension("tmp");
    match files.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let target = files.create(&temporary)?;
    let mut offset = begin;
    while offset < end {
        let length = usize::try_from(end - offset).map_or(COPY_BYTES, |rest| rest.min(COPY_BYTES));
        target.write_all_at(&from.read_vec_at(length, offset)?, offset - begin)?;
        offset += length as u64;
    }
    target.sync()?;
    files.rename(&temporary, to)
}
