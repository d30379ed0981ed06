//! Looks for records. It reads the log as a stream and never holds more than one page; how much is looked through for a page
//! is bounded too, so that nobody waits long for it: a page may be empty although more follows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::disk::Files;
use wildmatch::WildMatch;

use super::event::Outcome;
use super::lines::{Lines, Next};
use super::moment;
use super::reader::{Cursor, Item, Reader};
use super::record::{self, Record};
use super::segment;

/// Most records of a page.
pub const PAGE_RECORDS_MAX: usize = 1000;
/// Most bytes of a page's records.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Most bytes that are looked through for a page.
const SCAN_BYTES_MAX: u64 = 32 << 20;
/// The clock may have been set back by so much between two records.
const CLOCK_MARGIN_MILLISECONDS: u64 = 3_600_000;

/// What records are looked for. A field that is left out fits all. In texts `*` stands for anything and `?` for one character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Who.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// The repository; without a `*` also all below it.
    pub repository: Option<String>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// Not before this, milliseconds since the Unix epoch.
    pub since_milliseconds: Option<u64>,
    /// Before this, milliseconds since the Unix epoch.
    pub until_milliseconds: Option<u64>,
}

/// A filter made ready.
struct Sieve {
    actor: Option<WildMatch>,
    action: Option<WildMatch>,
    repository: Option<(WildMatch, Option<String>)>,
    outcome: Option<Outcome>,
    since: Option<String>,
    until: Option<String>,
}

impl Sieve {
    fn new(filter: &Filter) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().map(WildMatch::new);
        let below = |text: &String| (!text.contains(['*', '?'])).then(|| format!("{text}/"));
        let at = |time: Option<u64>| time.map(|time| moment::text(Timestamp(time)));
        Self {
            actor: pattern(&filter.actor),
            action: pattern(&filter.action),
            repository: filter.repository.as_ref().map(|text| (WildMatch::new(text), below(text))),
            outcome: filter.outcome,
            since: at(filter.since_milliseconds),
            until: at(filter.until_milliseconds),
        }
    }

    fn takes(&self, record: &Record<'_>) -> bool {
        let fits = |pattern: &Option<WildMatch>, text: &str| pattern.as_ref().is_none_or(|it| it.matches(text));
        let repository = || {
            self.repository.as_ref().is_none_or(|(pattern, below)| {
                let text = record.repository.as_ref();
                pattern.matches(text) || below.as_ref().is_some_and(|below| text.starts_with(below))
            })
        };
        fits(&self.action, &record.action)
            && fits(&self.actor, &record.actor)
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            // Moments compare as texts.
            && self.since.as_deref().is_none_or(|since| record.time.as_ref() >= since)
            && self.until.as_deref().is_none_or(|until| record.time.as_ref() < until)
            && repository()
    }
}

/// Records that were found, and where to go on.
#[derive(Clone, Debug)]
pub struct Page {
    /// The lines of the records as they stand in the log, the oldest first.
    pub records: Vec<Box<RawValue>>,
    /// Where the next page begins.
    pub next: Cursor,
    /// Whether this was everything there is at present.
    pub ended: bool,
}

/// A page of records from a place on. Without one it begins at the oldest record that can be meant. Blocks.
pub(super) fn search(
    files: &Arc<dyn Files>,
    directory: &Path,
    filter: &Filter,
    from: Option<Cursor>,
    limit: usize,
) -> io::Result<Page> {
    let cursor = match (from, filter.since_milliseconds) {
        (Some(cursor), _) => cursor,
        (None, Some(since)) => Cursor::at(first_since(files.as_ref(), directory, since)?),
        (None, None) => Cursor::at(1),
    };
    let sieve = Sieve::new(filter);
    let mut reader = Reader::new(Arc::clone(files), directory.to_owned(), cursor);
    let (mut records, mut bytes) = (Vec::new(), 0);
    let limit = limit.clamp(1, PAGE_RECORDS_MAX);
    let mut ended = false;
    while records.len() < limit && bytes < PAGE_BYTES_MAX {
        match reader.next(SCAN_BYTES_MAX)? {
            Item::Record(_, line) => {
                if record::parse(&line).is_some_and(|record| sieve.takes(&record))
                    && let Ok(text) = String::from_utf8(line)
                    && let Ok(raw) = RawValue::from_string(text)
                {
                    bytes += raw.get().len();
                    records.push(raw);
                }
            }
            Item::End => {
                ended = true;
                break;
            }
            Item::Enough => break,
        }
    }
    Ok(Page { records, next: reader.cursor(), ended })
}

/// Number of a record in front of which nothing is as young as that.
fn first_since(files: &dyn Files, directory: &Path, since: u64) -> io::Result<u64> {
    let since = since.saturating_sub(CLOCK_MARGIN_MILLISECONDS);
    let segments = segment::list(files, directory)?;
    // All before the first segment that begins later, except for the last one of them, ends earlier.
    let mut error = None;
    let later = segments.partition_point(|segment| match time_of(files, directory, segment.first) {
        Ok(time) => time.is_none_or(|time| time.0 < since),
        Err(failed) => {
            error = Some(failed);
            false
        }
    });
    match error {
        Some(error) => Err(error),
        None => Ok(later.checked_sub(1).map_or(1, |index| segments[index].first)),
    }
}

/// Time of the first record of a segment, if it can be read.
fn time_of(files: &dyn Files, directory: &Path, first: u64) -> io::Result<Option<Timestamp>> {
    let file = match files.open(&segment::path(directory, first)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    Ok(match Lines::new(file, 0).next()? {
        Next::Line(line) => record::parse(line).and_then(|record| moment::read(&record.time)),
        _ => None,
    })
}
