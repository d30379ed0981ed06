//! What lies on a disk, and damage to it: the files behind the program's back.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folder of the shard files below a node's data.
const DISK: &str = "disk";
/// Smallest file that is taken for a shard file: the rest are identities and markers.
const SMALLEST_SHARD_BYTES: u64 = 4 << 10;

/// All shard files below a node's data.
///
/// # Errors
/// When the folder cannot be read.
pub fn shard_files(data: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    collect(&data.join(DISK), &mut files)?;
    Ok(files)
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        // A file may go while we look.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            collect(&path, files)?;
        } else if metadata.len() >= SMALLEST_SHARD_BYTES {
            files.insert(path);
        }
    }
    Ok(())
}

/// All files below a folder with what they hold, but for those below one of these folders in it.
///
/// # Errors
/// When the folder cannot be read.
pub fn contents(folder: &Path, but: &[&str]) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if but.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            found.extend(contents(&path, &[])?);
        } else if kind.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            found.push((path, bytes));
        }
    }
    Ok(found)
}

/// Whether any file below a node's data holds this text.
///
/// # Errors
/// When the folder cannot be read.
pub fn holds(data: &Path, text: &str) -> Result<bool> {
    for entry in fs::read_dir(data).with_context(|| format!("reading {}", data.display()))? {
        let path = entry?.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        // What is neither is a socket, or a file that has gone while we look.
        let found = if metadata.is_dir() {
            holds(&path, text)?
        } else {
            fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Flips one bit in the middle of a file.
///
/// # Errors
/// When the file cannot be changed.
pub fn flip_bit(path: &Path) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let middle = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.seek(SeekFrom::Start(middle))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(middle))?;
    file.write_all(&[byte[0] ^ 0x10])?;
    Ok(())
}

/// Cuts a file to half its length.
///
/// # Errors
/// When the file cannot be changed.
pub fn truncate(path: &Path) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(file.metadata()?.len() / 2)?;
    Ok(())
}

/// Removes a file.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("removing {}", path.display()))
}
