//! Reads records in order, from any place of the log, while it is written and while retention removes its beginning. Blocks.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::disk::Files;

use super::lines::{Lines, Next};
use super::record;
use super::segment::{self, Segment};

/// A place in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Number of the record that is read next.
    pub sequence: u64,
    /// Where it is, if that is known: first record of its segment and its byte in there. Otherwise it is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(u64, u64)>,
}

impl Cursor {
    /// At a record whose place is not known.
    #[must_use]
    pub const fn at(sequence: u64) -> Self {
        Self { sequence, place: None }
    }
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Item {
    /// A record: its number and its line without the end.
    Record(u64, Vec<u8>),
    /// Nothing more so far.
    End,
    /// The bound on what is looked through was reached.
    Enough,
}

/// Reads records one after the other.
#[derive(Debug)]
pub(super) struct Reader {
    files: Arc<dyn Files>,
    directory: PathBuf,
    /// Number of the record that is wanted next.
    wanted: u64,
    /// The segment that is read: its first record, and its lines.
    open: Option<(u64, Lines)>,
    /// A place that the cursor has named and that was not looked at yet.
    hint: Option<(u64, u64)>,
    /// Whether the segment has already ended when there was none behind it: it may have grown before that came.
    ended: bool,
    /// Records that were gone when they were wanted.
    pub(super) skipped: u64,
    /// Bytes looked through.
    pub(super) scanned_bytes: u64,
}

impl Reader {
    pub(super) fn new(files: Arc<dyn Files>, directory: PathBuf, cursor: Cursor) -> Self {
        let (wanted, hint) = (cursor.sequence.max(1), cursor.place);
        Self { files, directory, wanted, open: None, hint, ended: false, skipped: 0, scanned_bytes: 0 }
    }

    /// Where it stands.
    pub(super) fn cursor(&self) -> Cursor {
        let place = self.open.as_ref().map(|(first, lines)| (*first, lines.offset()));
        Cursor { sequence: self.wanted, place: place.or(self.hint) }
    }

    /// The next record, unless more than so many bytes would have to be looked through for it. Lines that are no records are
    /// passed over.
    pub(super) fn next(&mut self, scan_bytes_max: u64) -> io::Result<Item> {
        loop {
            let Some((_, lines)) = &mut self.open else {
                if !self.find()? {
                    return Ok(Item::End);
                }
                continue;
            };
            if self.scanned_bytes >= scan_bytes_max {
                return Ok(Item::Enough);
            }
            let begin = lines.offset();
            let found = match lines.next()? {
                Next::Line(line) => match sequence_of(line) {
                    Some(sequence) if sequence >= self.wanted => Some((sequence, line.to_vec())),
                    _ => None,
                },
                Next::TooLong => None,
                Next::Torn(_) | Next::End => {
                    if self.advance()? {
                        continue;
                    }
                    return Ok(Item::End);
                }
            };
            self.ended = false;
            self.scanned_bytes += lines.offset() - begin;
            let Some((sequence, line)) = found else { continue };
            self.skipped += sequence - self.wanted;
            self.wanted = sequence + 1;
            return Ok(Item::Record(sequence, line));
        }
    }

    /// Opens the segment with the wanted record. Whether there is one.
    fn find(&mut self) -> io::Result<bool> {
        let segments = segment::list(self.files.as_ref(), &self.directory)?;
        let Some(Segment { first, .. }) =
            segments.iter().rev().find(|segment| segment.first <= self.wanted).or(segments.first())
        else {
            return Ok(false);
        };
        let offset = match self.hint.take() {
            Some((named, offset)) if named == *first => self.checked(*first, offset)?,
            _ => 0,
        };
        self.open(*first, offset)
    }

    /// A named offset, if the wanted record or the end of the segment is there.
    fn checked(&self, first: u64, offset: u64) -> io::Result<u64> {
        let file = match self.files.open(&segment::path(&self.directory, first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            file => file?,
        };
        if offset > file.length()? {
            return Ok(0);
        }
        let mut lines = Lines::new(file, offset);
        let fits = match lines.next()? {
            Next::Line(line) => sequence_of(line) == Some(self.wanted),
            Next::End => true,
            Next::Torn(_) | Next::TooLong => false,
        };
        Ok(if fits { offset } else { 0 })
    }

    /// Goes on to the next segment, once the present one is at its end for good. Whether there is something to read now.
    fn advance(&mut self) -> io::Result<bool> {
        let Some((present, _)) = self.open else { return self.find() };
        let segments = segment::list(self.files.as_ref(), &self.directory)?;
        let Some(next) = segments.iter().find(|segment| segment.first > present) else { return Ok(false) };
        if !self.ended {
            // What was written before the next one was begun is there now.
            self.ended = true;
            return Ok(true);
        }
        self.ended = false;
        self.open(next.first, 0)
    }

    fn open(&mut self, first: u64, offset: u64) -> io::Result<bool> {
        match self.files.open(&segment::path(&self.directory, first)) {
            Ok(file) => self.open = Some((first, Lines::new(file, offset))),
            // Retention was faster: the list says what there is now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.open = None,
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

/// Number of the record of a line, without reading the rest.
pub(super) fn sequence_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"sequence\":")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    // Somebody may have written the line by hand.
    if rest[end] == b',' { Some(number) } else { record::parse(line).map(|record| record.sequence) }
}
