//! Snapshots on disk: a checkpoint of the state's engine, and a record of what it contains.
//!
//! `snapshot-<n>/state/` holds the files of the checkpoint, `snapshot-<n>/contents` the record, all of them sealed if the
//! node has a key. A snapshot is made
//! under a temporary name and renamed when all of it is synced, so that what has its name is whole. Only the newest
//! is kept; an older one goes when nobody reads it any more, and loses its name before anything of it is removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::disk::{Entry, Files};
use storage::kv::{Engine, Engines};
use tracing::warn;

use super::record::AppliedRecord;
use crate::codec;

/// Name of the record within a snapshot.
const CONTENTS: &str = "contents";
/// Name of the checkpoint within a snapshot.
const STATE: &str = "state";
/// Begin of a snapshot's name.
pub(super) const PREFIX: &str = "snapshot-";
/// End of the name of what is not whole yet.
pub(super) const TEMPORARY: &str = ".tmp";

/// A whole snapshot. It must not be removed while this is held.
#[derive(Debug)]
pub(super) struct StoredSnapshot {
    /// Its number: higher is newer.
    pub(super) number: u64,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// What it contains.
    pub(super) contents: AppliedRecord,
}

impl StoredSnapshot {
    /// Directory with the files of the checkpoint.
    pub(super) fn state(&self) -> PathBuf {
        self.directory.join(STATE)
    }
}

/// A snapshot as openraft hands it around.
#[derive(Clone, Debug)]
pub(super) enum SnapshotData {
    /// One of this node's own.
    Stored(Arc<StoredSnapshot>),
    /// Files of a checkpoint that came from a peer, whole and synced, in a directory of their own.
    Received(PathBuf),
}

/// A snapshot that is being made.
#[derive(Debug)]
pub(super) struct Draft {
    number: u64,
    parent: PathBuf,
    temporary: PathBuf,
}

impl Draft {
    /// Begins snapshot `number` of the group in `parent`.
    pub(super) fn begin(files: &dyn Files, parent: &Path, number: u64) -> io::Result<Self> {
        let temporary = parent.join(format!("{PREFIX}{number}{TEMPORARY}"));
        files.remove_directory_all(&temporary)?;
        files.create_directory_all(&temporary)?;
        Ok(Self { number, parent: parent.to_owned(), temporary })
    }

    /// Puts a checkpoint of the engine into it.
    pub(super) fn checkpoint(&self, engine: &dyn Engine) -> io::Result<()> {
        engine.checkpoint(&self.temporary.join(STATE)).map_err(io::Error::other)
    }

    /// Records what the checkpoint contains and gives the snapshot its name, durably.
    pub(super) fn finish(
        self,
        files: &dyn Files,
        engines: &dyn Engines,
        contents: AppliedRecord,
    ) -> io::Result<StoredSnapshot> {
        let mut file = engines.create_checkpoint_file(&self.temporary.join(CONTENTS))?;
        file.append(&codec::encode(&contents))?;
        file.finish()?;
        files.sync_directory(&self.temporary)?;
        let directory = self.parent.join(format!("{PREFIX}{}", self.number));
        files.rename(&self.temporary, &directory)?;
        files.sync_directory(&self.parent)?;
        Ok(StoredSnapshot { number: self.number, directory, contents })
    }
}

/// The newest snapshot among the entries of a group's directory. Others are removed; one whose record cannot be read
/// is left out with a warning and kept for a person to look at.
pub(super) fn find_newest(
    files: &dyn Files,
    engines: &dyn Engines,
    parent: &Path,
    entries: &[Entry],
) -> io::Result<Option<StoredSnapshot>> {
    let mut newest: Option<StoredSnapshot> = None;
    for number in entries.iter().filter_map(|entry| number_of(&entry.name, PREFIX)) {
        let directory = parent.join(format!("{PREFIX}{number}"));
        let contents = match read(engines, &directory.join(CONTENTS)) {
            Ok(bytes) => codec::decode::<AppliedRecord>(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match contents {
            Ok(contents) if newest.as_ref().is_none_or(|newest| newest.number < number) => {
                if let Some(older) = newest.replace(StoredSnapshot { number, directory, contents }) {
                    remove(files, &older.directory)?;
                }
            }
            Ok(_) => remove(files, &directory)?,
            Err(error) => warn!(?directory, error, "snapshot cannot be read and is not used"),
        }
    }
    Ok(newest)
}

/// A small file of a snapshot.
fn read(engines: &dyn Engines, path: &Path) -> io::Result<Vec<u8>> {
    let file = engines.read_checkpoint_file(path)?;
    let length = usize::try_from(file.length_bytes()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Removes a snapshot. It loses its name first, durably: what a crash leaves of it is removed at the next start. May be
/// repeated.
pub(super) fn remove(files: &dyn Files, directory: &Path) -> io::Result<()> {
    let mut temporary = directory.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    match files.rename(directory, &temporary) {
        // An earlier attempt came so far.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        renamed => renamed?,
    }
    if let Some(parent) = directory.parent() {
        files.sync_directory(parent)?;
    }
    files.remove_directory_all(&temporary)
}

/// The highest number that any snapshot among the entries has, readable or not; 0 without one.
pub(super) fn highest_number(entries: &[Entry]) -> u64 {
    entries.iter().filter_map(|entry| number_of(&entry.name, PREFIX)).max().unwrap_or(0)
}

/// Number at the end of a name that begins with `prefix` and has nothing else.
pub(super) fn number_of(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_name_a_snapshot() {
        assert_eq!(number_of("snapshot-12", PREFIX), Some(12));
        for name in ["snapshot-", "snapshot-1.tmp", "snapshot-+1", "snapshot--1", "state-1", "snapshot-1/2"] {
            assert_eq!(number_of(name, PREFIX), None, "{name}");
        }
    }
}
