//! The files of the log: `<number of the first record, 20 digits>.jsonl`, so that their names sort as their records follow
//! each other.

use std::io;
use std::path::{Path, PathBuf};

use storage::disk::Files;

/// A segment is closed when it is this long. Retention removes whole segments, and a search by time skips them.
pub(super) const SEGMENT_BYTES: u64 = 32 << 20;

/// It is closed after this long in any case, so that retention by days removes what is old on quiet nodes too.
pub(super) const SEGMENT_MILLISECONDS: u64 = 24 * 3600 * 1000;

/// Bytes of a log that were cut off since they cannot be read: `<number of the next record>.cut`.
const CUT: &str = "cut";
const SEGMENT: &str = "jsonl";

/// A segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Number of its first record, as its name says.
    pub(super) first: u64,
    /// Its length.
    pub(super) bytes: u64,
}

/// Path of a segment.
pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.{SEGMENT}"))
}

/// Path of what was cut off in front of a record.
pub(super) fn cut_path(directory: &Path, next: u64) -> PathBuf {
    directory.join(format!("{next:020}.{CUT}"))
}

/// All segments, the oldest first. Blocks. A directory that is missing has none.
pub(super) fn list(files: &dyn Files, directory: &Path) -> io::Result<Vec<Segment>> {
    of_kind(files, directory, SEGMENT)
}

/// All that was cut off, named like segments. Blocks.
pub(super) fn list_cuts(files: &dyn Files, directory: &Path) -> io::Result<Vec<Segment>> {
    of_kind(files, directory, CUT)
}

fn of_kind(files: &dyn Files, directory: &Path, kind: &str) -> io::Result<Vec<Segment>> {
    let entries = match files.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let segment = |entry: storage::disk::Entry| {
        let (number, found) = entry.name.split_once('.')?;
        let is_name = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
        let first = number.parse().ok().filter(|_| is_name && found == kind && !entry.is_directory)?;
        Some(Segment { first, bytes: entry.length_bytes })
    };
    let mut segments: Vec<Segment> = entries.into_iter().filter_map(segment).collect();
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::disk::RealFiles;

    use super::*;

    #[test]
    fn segments_are_found_by_their_names_alone() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(RealFiles);
        let root = directory.path();
        assert!(list(files.as_ref(), &root.join("missing")).unwrap().is_empty());
        for name in ["11.jsonl", "notes.txt", "00000000000000000003.tmp", "+0000000000000000004.jsonl", "syslog.cursor"]
        {
            files.create(&root.join(name)).unwrap();
        }
        for first in [30, 4] {
            files.create(&path(root, first)).unwrap().write_all_at(b"12", 0).unwrap();
        }
        files.create(&cut_path(root, 9)).unwrap();
        let found = list(files.as_ref(), root).unwrap();
        assert_eq!(found, [Segment { first: 4, bytes: 2 }, Segment { first: 30, bytes: 2 }]);
        assert_eq!(list_cuts(files.as_ref(), root).unwrap(), [Segment { first: 9, bytes: 0 }]);
    }
}
