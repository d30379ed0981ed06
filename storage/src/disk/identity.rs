//! The identity of a data directory: a small text file that says which disk it is and which format it has.
//!
//! It is written last when a directory is formatted, so that its presence means a whole disk, and it is never changed.

use std::io;
use std::path::Path;

use super::{DiskError, Files};
use crate::shard::DiskId;

/// Format version of a disk's layout that this program writes and reads.
pub(super) const VERSION: u32 = 1;
/// File name of the identity.
pub(super) const FILE: &str = "identity";
/// Directory of the shard files.
pub(super) const SHARDS: &str = "shards";
/// Directory of what is kept about the disk itself: notes of the scrub, the file that tries writing.
pub(super) const STATE: &str = "state";
/// Number of fan-out directories below [`SHARDS`], named `00` to `ff`.
pub(super) const PAGES: u16 = 256;

/// Domain of the identity's checksum.
const CONTEXT: &str = "regnode 2026-11 disk identity v1";

/// Text of an identity file.
pub(super) fn encode(id: DiskId) -> String {
    let body = format!("regnode disk\nversion {VERSION}\nid {id}\n");
    format!("{body}checksum {}\n", checksum(&body))
}

/// Reads an identity file's text.
pub(super) fn decode(path: &Path, content: &[u8]) -> Result<DiskId, DiskError> {
    let damaged = |detail: &str| DiskError::Damaged { path: path.to_owned(), detail: detail.to_owned() };
    let text = str::from_utf8(content).map_err(|_| damaged("its identity is not text"))?;
    let mut lines = text.lines();
    if lines.next() != Some("regnode disk") {
        return Err(damaged("its identity does not begin with \"regnode disk\""));
    }
    let version = lines.next().and_then(|line| line.strip_prefix("version ")).and_then(|text| text.parse().ok());
    match version {
        None => return Err(damaged("its identity has no version")),
        Some(VERSION) => {}
        Some(found) => return Err(DiskError::Version { path: path.to_owned(), found, known: VERSION }),
    }
    let id: DiskId = lines
        .next()
        .and_then(|line| line.strip_prefix("id "))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged("its identity has no disk id"))?;
    // The text is one of a kind: comparing it whole checks the checksum and everything else.
    if text == encode(id) { Ok(id) } else { Err(damaged("the checksum of its identity does not match")) }
}

/// Whether `directory` has an identity file, whatever is in it.
pub(super) fn is_present(files: &dyn Files, directory: &Path) -> io::Result<bool> {
    match files.open(&directory.join(FILE)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The id of the disk in `directory`; an empty directory is formatted with an id from `new_id`. The caller holds the
/// directory's lock.
pub(super) fn load_or_format(
    files: &dyn Files,
    directory: &Path,
    new_id: &mut dyn FnMut() -> [u8; 16],
) -> Result<DiskId, DiskError> {
    match files.read(&directory.join(FILE)) {
        Ok(content) => decode(directory, &content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_used(files, directory)?;
            let id = DiskId(new_id());
            format(files, directory, id).map_err(|source| DiskError::Io {
                path: directory.to_owned(),
                action: "be formatted",
                source,
            })?;
            tracing::info!(path = %directory.display(), disk = %id, "disk formatted");
            Ok(id)
        }
        Err(source) => Err(DiskError::Io { path: directory.to_owned(), action: "read its identity", source }),
    }
}

/// Errs unless the directory is empty but for what an interrupted formatting leaves.
fn refuse_used(files: &dyn Files, directory: &Path) -> Result<(), DiskError> {
    let io = |source| DiskError::Io { path: directory.to_owned(), action: "be listed", source };
    for entry in files.list(directory).map_err(io)? {
        match entry.name.as_str() {
            // Made by mkfs, and by an interrupted formatting.
            "lost+found" | "identity.tmp" => {}
            SHARDS if entry.is_directory => {
                let shards = directory.join(SHARDS);
                for page in files.list(&shards).map_err(io)? {
                    if !page.is_directory || !files.list(&shards.join(&page.name)).map_err(io)?.is_empty() {
                        return Err(DiskError::Damaged {
                            path: directory.to_owned(),
                            detail: "it holds shards but no identity".to_owned(),
                        });
                    }
                }
            }
            name if name == super::owner::FILE || name == STATE => {
                let detail = format!("it holds {name:?} but no identity");
                return Err(DiskError::Damaged { path: directory.to_owned(), detail });
            }
            _ => return Err(DiskError::Foreign { path: directory.to_owned(), entry: entry.name }),
        }
    }
    Ok(())
}

fn format(files: &dyn Files, directory: &Path, id: DiskId) -> io::Result<()> {
    let shards = directory.join(SHARDS);
    for page in 0..PAGES {
        files.create_directory_all(&shards.join(format!("{page:02x}")))?;
    }
    // An empty directory is durable with its entry, so that the fan-out directories need no sync of their own.
    files.sync_directory(&shards)?;
    files.replace(&directory.join(FILE), encode(id).as_bytes())
}

fn checksum(body: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(body.as_bytes());
    hex::encode(&hasher.finalize().as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back() {
        let id = DiskId([7; 16]);
        assert_eq!(decode(Path::new("/d"), encode(id).as_bytes()).unwrap(), id);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let content = encode(DiskId([7; 16])).into_bytes();
        for bit in 0..content.len() * 8 {
            let mut damaged = content.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(Path::new("/d"), &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let content = encode(DiskId([7; 16])).replace("version 1", "version 9");
        let error = decode(Path::new("/d"), content.as_bytes()).unwrap_err();
        assert!(matches!(error, DiskError::Version { found: 9, known: 1, .. }), "{error}");
    }
}
