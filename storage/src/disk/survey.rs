//! What is on a disk, whatever it is: for those who have to prove what is not on it.
//!
//! A disk is looked at in parts, so that neither time nor memory is that of the whole disk: each page of its shards is
//! one, and everything beside the pages is the last one. Directories are listed and headers are read; no block is. Names
//! that are not UTF-8 are not seen, as in all listings.

use std::io;
use std::path::{Path, PathBuf};

use super::Disk;
use super::identity::{self, PAGES, SHARDS, STATE};
use super::owner;
use crate::shard::{SHARD_HEADER_BYTES, ShardName, read_header};

/// Deepest directory that is looked into, below that of the part.
const DEPTH_MAX: u32 = 8;
/// Most files of the part beside the pages. A disk has no such files; somebody has put them there.
const FILES_MAX: usize = 65_536;

/// A file on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedFile {
    /// Its path below the disk's directory.
    pub path: String,
    /// Its length.
    pub length_bytes: u64,
    /// The shard that it is by its name.
    pub named: Option<ShardName>,
}

/// The files of one part of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The files, by path.
    pub files: Vec<SurveyedFile>,
    /// Whether there are more than are told, or deeper ones.
    pub cut: bool,
}

impl Disk {
    /// Number of parts that a disk is surveyed in, from 0: its pages, and what is beside them.
    pub const SURVEY_PARTS: u16 = PAGES + 1;

    /// All files of a part. What the disk keeps about itself is left out. Blocks.
    ///
    /// # Errors
    /// What the file system says; it is counted.
    pub fn survey(&self, part: u16) -> io::Result<Survey> {
        let mut survey = Survey::default();
        let looked = match u8::try_from(part) {
            Ok(page) => self.gather(&PathBuf::from(SHARDS).join(format!("{page:02x}")), 0, &mut survey, |_| false),
            Err(_) => self.gather(Path::new(""), 0, &mut survey, is_own),
        };
        looked.inspect_err(|error| self.note_failure(error))?;
        survey.files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(survey)
    }

    /// The shard that a file is by its header; `None` if it has none that is whole, or has gone. Blocks.
    ///
    /// # Errors
    /// What the file system says; it is counted.
    pub fn survey_header(&self, path: &str) -> io::Result<Option<ShardName>> {
        let mut header = [0; SHARD_HEADER_BYTES];
        let read = self.files().open(&self.path().join(path)).and_then(|file| file.read_exact_at(&mut header, 0));
        match read {
            Ok(()) => Ok(read_header(&header)),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof].contains(&error.kind()) => Ok(None),
            Err(error) => {
                self.note_failure(&error);
                Err(error)
            }
        }
    }

    /// Files below a directory but for those that are left out.
    fn gather(&self, directory: &Path, depth: u32, survey: &mut Survey, left_out: fn(&Path) -> bool) -> io::Result<()> {
        for entry in self.files().list(&self.path().join(directory))? {
            let path = directory.join(&entry.name);
            if left_out(&path) {
                continue;
            }
            if entry.is_directory {
                if depth == DEPTH_MAX {
                    survey.cut = true;
                } else {
                    self.gather(&path, depth + 1, survey, left_out)?;
                }
                continue;
            }
            if depth > 0 && survey.files.len() >= FILES_MAX {
                survey.cut = true;
                return Ok(());
            }
            let named = entry.name.parse().ok();
            let path = path.to_string_lossy().into_owned();
            survey.files.push(SurveyedFile { path, length_bytes: entry.length_bytes, named });
        }
        Ok(())
    }
}

/// What a disk keeps about itself, and the pages, which are parts of their own.
fn is_own(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    let is_page = |name: &str| name.len() == 2 && name.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    match text.split_once('/') {
        None => [identity::FILE, "identity.tmp", owner::FILE, "owner.tmp", "lost+found"].contains(&text),
        Some((SHARDS, name)) => is_page(name),
        Some((STATE, name)) => !name.contains('/') && name.parse::<ShardName>().is_err(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Disks, KnownDisks, RealFiles, Reserve};
    use crate::seal::Keys;
    use crate::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

    #[test]
    fn what_a_disk_keeps_about_itself_is_left_out() {
        for own in ["identity", "owner", "lost+found", "shards/0a", "state/scrub"] {
            assert!(is_own(Path::new(own)), "{own}");
        }
        let name =
            ShardName { object: ObjectId([1; 16]), extent: ExtentIndex(0), attempt: Attempt(1), shard: ShardIndex(0) };
        let hidden = format!("state/{name}");
        for other in ["copy.bin", "shards/copy", "shards", "state", "state/deep/file", "identity/x", hidden.as_str()] {
            assert!(!is_own(Path::new(other)), "{other}");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "files are planted behind the program's back")]
    #[test]
    fn every_file_is_seen_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let files: Arc<dyn crate::disk::Files> = Arc::new(RealFiles);
        let known = KnownDisks::default();
        let directory = folder.path().join("disk");
        let disks = Disks::open(
            files,
            std::slice::from_ref(&directory),
            &known,
            Reserve::default(),
            &Keys::clear(),
            &mut || [9; 16],
        )
        .unwrap();
        let disk = disks.all().remove(0);
        assert!((0..Disk::SURVEY_PARTS).all(|part| disk.survey(part).unwrap() == Survey::default()), "a fresh disk");
        std::fs::create_dir_all(directory.join("shards/0a/deep")).unwrap();
        std::fs::create_dir_all(directory.join("backup")).unwrap();
        let planted = ["shards/0a/copy", "shards/0a/deep/copy", "shards/copy", "backup/copy", "copy"];
        for path in planted {
            std::fs::write(directory.join(path), "no shard").unwrap();
        }
        let seen: BTreeSet<String> =
            (0..Disk::SURVEY_PARTS).flat_map(|part| disk.survey(part).unwrap().files).map(|file| file.path).collect();
        assert_eq!(seen, planted.map(str::to_owned).into());
        assert_eq!(disk.survey_header("copy").unwrap(), None);
        assert_eq!(disk.survey_header("gone").unwrap(), None);
    }
}
