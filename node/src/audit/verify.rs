//! Checks a log: that every record is as it was written, that none is missing, none has another place, and that its end is
//! what the cluster was told of.
//!
//! It goes in steps, each of which looks at a bounded part and returns where to go on, so that a large log is checked by
//! many short questions and nobody keeps anything between them. What is found names the records and the file.
//!
//! What retention has announced is no fault at the beginning of the log, and is shown in any case: whoever owns the machine
//! can write such a record too. The numbers come from files and from whoever asks: nothing is taken for granted of them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::disk::Files;

use super::lines::{Lines, Next};
use super::log::Head;
use super::record::{self, LineError, Removed};
use super::segment;

/// Bytes that one step looks at.
const STEP_BYTES: u64 = 64 << 20;

/// Most gaps that are remembered. More are told as one.
const GAPS_MAX: usize = 256;

/// Most faults of one step; behind them it goes on with the next one.
const FAULTS_MAX: usize = 500;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// A record is not what was written: its content and its hash do not fit, or its line is none.
    Altered {
        /// Its number, as far as the place in the file tells it.
        record: u64,
        /// First record of its segment.
        segment: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A record is whole, but not the one that the next one follows, or not the one that the cluster was told of: it was
    /// written anew.
    Replaced {
        /// Its number.
        record: u64,
        /// First record of its segment.
        segment: u64,
    },
    /// Records are missing in between, and no retention has removed them.
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// A record stands behind a later one, or is there twice.
    Reordered {
        /// Its number.
        record: u64,
        /// First record of the segment that it was found in.
        segment: u64,
    },
    /// Records at the end are missing: the cluster was told of them.
    Truncated {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// A segment ends within a line.
    Torn {
        /// First record of the segment.
        segment: u64,
        /// Bytes behind its last whole line.
        bytes: u64,
    },
    /// A segment does not begin with the record that its name says.
    Misnamed {
        /// First record of the segment, as its name says.
        segment: u64,
        /// The record that it begins with.
        record: u64,
    },
}

/// How far a check is. Whoever checks hands it back with the next question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Records that were looked at.
    pub records: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// Number of the oldest record there is.
    pub first: Option<u64>,
    /// Number of the newest record there is.
    pub last: Option<u64>,
    /// Time of the newest record.
    pub last_time: Option<String>,
    /// Where to go on: first record of the segment, and the byte in it.
    place: Option<(u64, u64)>,
    /// What the oldest record names as the one before it.
    before_first: String,
    /// Number of the newest record that could be read: lines behind it that could not be may be more or fewer records.
    certain: u64,
    /// Hash that the next record has to name, if it is known.
    previous: Option<String>,
    /// Records that were not met so far, and that may yet be.
    gaps: Vec<(u64, u64)>,
    /// What retention says that it has removed: the furthest of its records.
    pub removed: Option<Removed>,
    /// Time of the record that says so.
    #[serde(default)]
    pub removed_time: Option<String>,
    /// What the record has to be that the cluster was told of: number and hash.
    told: Vec<(u64, String)>,
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How far it is.
    pub checked: Checked,
    /// What this step has found.
    pub faults: Vec<Fault>,
    /// Whether it was the last one.
    pub ended: bool,
}

impl Checked {
    /// A check from the beginning. `told` are the records that have to be there.
    pub(super) fn begin(told: impl IntoIterator<Item = Head>) -> Self {
        let told = told.into_iter().map(|head| (head.sequence, hex::encode(head.hash))).collect();
        Self { told, ..Self::default() }
    }
}

/// Checks a further part of a log. Blocks.
pub(super) fn step(files: &Arc<dyn Files>, directory: &Path, mut checked: Checked) -> io::Result<Step> {
    let mut faults = Vec::new();
    let enough = checked.bytes.saturating_add(STEP_BYTES);
    loop {
        let segments = segment::list(files.as_ref(), directory)?;
        let from = checked.place.map_or(0, |(first, _)| first);
        let Some(position) = segments.iter().position(|segment| segment.first >= from) else {
            return Ok(end(checked, faults, segments.first().map(|segment| segment.first)));
        };
        let segment = segments[position].first;
        let offset = checked.place.filter(|(first, _)| *first == segment).map_or(0, |(_, offset)| offset);
        let file = match files.open(&segment::path(directory, segment)) {
            // Retention was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let is_newest = position + 1 == segments.len();
        let mut lines = Lines::new(file, offset);
        loop {
            checked.place = Some((segment, lines.offset()));
            if checked.bytes >= enough || faults.len() >= FAULTS_MAX {
                return Ok(Step { checked, faults, ended: false });
            }
            let begin = lines.offset();
            let is_first = begin == 0;
            match lines.next()? {
                Next::Line(line) => checked.take(segment, is_first, line, &mut faults),
                Next::TooLong => checked.unreadable(segment, "it is longer than any record", &mut faults),
                Next::Torn(bytes) => {
                    // At the very end it may be a record that is being written.
                    if !is_newest {
                        faults.push(Fault::Torn { segment, bytes });
                    }
                    break;
                }
                Next::End => {
                    if is_first && !is_newest {
                        faults.push(Fault::Torn { segment, bytes: 0 });
                    }
                    break;
                }
            }
            checked.bytes = checked.bytes.saturating_add(lines.offset() - begin);
        }
        // Behind it is the next segment, whatever its number.
        let next = segment.checked_add(1);
        checked.place = Some((next.unwrap_or(segment), 0));
        let present = segment::list(files.as_ref(), directory)?;
        if next.is_none() || is_newest && present.last().is_none_or(|last| last.first <= segment) {
            return Ok(end(checked, faults, present.first().map(|segment| segment.first)));
        }
    }
}

impl Checked {
    /// Number that the next record should have.
    fn expected(&self) -> Option<u64> {
        self.last.map(|last| last.saturating_add(1))
    }

    fn take(&mut self, segment: u64, is_first: bool, line: &[u8], faults: &mut Vec<Fault>) {
        let (record, hash) = match record::read(line) {
            Ok(read) => read,
            Err(error) => {
                let why = match error {
                    LineError::NoHash | LineError::NoRecord => format!("its line is no record: {error}"),
                    LineError::WrongHash => error.to_string(),
                };
                return self.unreadable(segment, &why, faults);
            }
        };
        let number = record.sequence;
        if is_first && number != segment {
            faults.push(Fault::Misnamed { segment, record: number });
        }
        self.records = self.records.saturating_add(1);
        if let Some(removed) = record.removed {
            if removed.last >= number {
                let why = format!("it says that record {} was removed, which came after it", removed.last);
                faults.push(Fault::Altered { record: number, segment, why });
            } else if self.removed.as_ref().is_none_or(|known| known.last < removed.last) {
                self.removed = Some(removed);
                self.removed_time = Some(record.time.clone().into_owned());
            }
        }
        if let Some(position) = self.told.iter().position(|(told, _)| *told == number)
            && self.told[position].1 != hex::encode(hash)
        {
            faults.push(Fault::Replaced { record: number, segment });
            self.told.remove(position);
        }
        let expected = self.expected();
        match expected {
            None => {
                self.first = Some(number);
                self.before_first = record.previous.clone().into_owned();
            }
            Some(expected) if number == expected => {
                if self.previous.as_ref().is_some_and(|previous| *previous != record.previous) {
                    faults.push(Fault::Replaced { record: number - 1, segment });
                }
            }
            Some(expected) if number > expected => self.gap(expected, number - 1),
            // Somebody has made several lines of one.
            Some(_) if self.previous.is_none() && number > self.certain => {}
            Some(_) => {
                self.fill(number);
                faults.push(Fault::Reordered { record: number, segment });
                // It has told nothing of its neighbours here.
                return;
            }
        }
        self.last = Some(number);
        self.certain = number;
        self.last_time = Some(record.time.into_owned());
        self.previous = Some(hex::encode(hash));
    }

    /// A line of which nothing is known but its place.
    fn unreadable(&mut self, segment: u64, why: &str, faults: &mut Vec<Fault>) {
        let record = self.expected().unwrap_or(segment);
        faults.push(Fault::Altered { record, segment, why: why.to_owned() });
        self.records = self.records.saturating_add(1);
        if self.first.is_none() {
            self.first = Some(record);
        }
        self.last = Some(record);
        self.previous = None;
    }

    fn gap(&mut self, first: u64, last: u64) {
        let is_full = self.gaps.len() >= GAPS_MAX;
        match self.gaps.last_mut() {
            Some(gap) if is_full => gap.1 = last,
            _ => self.gaps.push((first, last)),
        }
    }

    /// A record of a gap was found elsewhere.
    fn fill(&mut self, record: u64) {
        let Some(position) = self.gaps.iter().position(|(first, last)| (*first..=*last).contains(&record)) else {
            return;
        };
        let (first, last) = self.gaps.remove(position);
        let behind = record.checked_add(1).filter(|behind| *behind <= last).map(|behind| (behind, last));
        let before = record.checked_sub(1).filter(|before| *before >= first).map(|before| (first, before));
        self.gaps.splice(position..position, before.into_iter().chain(behind));
    }
}

/// What is only known when everything was looked at. `oldest` is the oldest segment that is there by now.
fn end(mut checked: Checked, mut faults: Vec<Fault>, oldest: Option<u64>) -> Step {
    let removed_last = checked.removed.as_ref().map_or(0, |removed| removed.last);
    let kept_first = removed_last.saturating_add(1);
    for (first, last) in std::mem::take(&mut checked.gaps) {
        // Retention may have gone on while this looked. It removes the oldest first: behind something older that is still
        // there, it has removed nothing.
        let excused = oldest.is_none_or(|oldest| oldest >= first);
        let first = if excused { first.max(kept_first) } else { first };
        if first <= last {
            faults.push(Fault::Missing { first, last });
        }
    }
    let nothing_before = hex::encode(record::NOTHING_BEFORE);
    if let Some(first) = checked.first {
        let announced = checked.removed.as_ref().filter(|removed| kept_first == first && !removed.hash.is_empty());
        if first > kept_first {
            faults.push(Fault::Missing { first: kept_first, last: first - 1 });
        } else if !checked.before_first.is_empty()
            && (announced.is_some_and(|removed| removed.hash != checked.before_first)
                || first == 1 && checked.before_first != nothing_before)
        {
            faults.push(Fault::Replaced { record: first, segment: first });
        }
    }
    let last = checked.last.unwrap_or(0);
    if let Some(told) = checked.told.iter().map(|(told, _)| *told).max().filter(|told| *told > last) {
        faults.push(Fault::Truncated { first: last + 1, last: told });
    }
    Step { checked, faults, ended: true }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let records = |first: u64, last: u64| {
            if first == last { format!("record {first} is") } else { format!("records {first} to {last} are") }
        };
        match self {
            Self::Altered { record, segment, why } => {
                write!(formatter, "record {record} was altered: {why} ({segment:020}.jsonl)")
            }
            Self::Replaced { record, segment } => {
                write!(
                    formatter,
                    "record {record} was replaced: it is not the one that was written first ({segment:020}.jsonl)"
                )
            }
            Self::Missing { first, last } => {
                write!(formatter, "{} missing, and no retention has removed that", records(*first, *last))
            }
            Self::Reordered { record, segment } => {
                write!(formatter, "record {record} stands behind a later one, or twice ({segment:020}.jsonl)")
            }
            Self::Truncated { first, last } => {
                write!(
                    formatter,
                    "{} missing at the end: the cluster was told of record {last}",
                    records(*first, *last)
                )
            }
            Self::Torn { segment, bytes } => {
                write!(formatter, "{segment:020}.jsonl ends within a line: {bytes} bytes are no record")
            }
            Self::Misnamed { segment, record } => {
                write!(formatter, "{segment:020}.jsonl begins with record {record}")
            }
        }
    }
}
