//! The operating system's files: the one place that calls it.
//!
//! Everything is created readable by its owner only. The system calls come from `rustix`, which offers them without
//! `unsafe`. Nothing is cached and nothing is retried here, apart from interrupted calls.

#![expect(clippy::disallowed_methods, reason = "this is the seam that the bans point to")]

use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, fadvise, statvfs};
use rustix::io::{Errno, pread, pwritev};

use super::{Access, Entry, File, Files, Space};

/// Most buffers that one `pwritev` takes (`IOV_MAX` of Linux).
const PARTS_MAX: usize = 1024;

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

/// An open file of the operating system.
#[derive(Debug)]
struct RealFile {
    file: fs::File,
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_all_parts_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        for parts in parts.chunks(PARTS_MAX) {
            let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let mut rest = slices.as_mut_slice();
            // Takes empty parts off the front: a write of nothing but them would look like a full disk.
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match pwritev(&self.file, rest, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut rest, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// `fdatasync`: it skips timestamps, which nothing here reads, but POSIX has it flush all metadata that is needed
    /// to read the data back, and a changed length is that. It saves a journal commit per sync on a file that did
    /// not grow.
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Linux begins to write the dirty pages of a range back when it is told that they are not needed, and drops only
    /// pages that are clean already, which pages just written are not: measured, all stay in the cache, and the sync
    /// behind 512 MiB takes no time instead of 0.2 s. `sync_file_range` says it more plainly, but only to `unsafe`.
    fn start_writeback(&self, offset: u64, length_bytes: u64) {
        if let Some(length) = NonZeroU64::new(length_bytes)
            && let Err(error) = fadvise(&self.file, offset, Some(length), Advice::DontNeed)
        {
            tracing::debug!(%error, "the file system takes no advice");
        }
    }

    fn drop_cached(&self, offset: u64, length_bytes: u64) {
        // The same call: of dirty pages it begins the writing back, clean ones it drops.
        self.start_writeback(offset, length_bytes);
    }

    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read_vec_at(&self, length_bytes: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(length_bytes);
        while buffer.len() < length_bytes {
            // The allocator may have given more than was asked for: bytes behind the end are cut off below.
            let position = offset + buffer.len() as u64;
            match pread(&self.file, spare_capacity(&mut buffer), position) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        buffer.truncate(length_bytes);
        Ok(buffer)
    }
}

impl Files for RealFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile { file }))
    }

    /// A file that this process may only read (a configuration, a certificate) is opened for that.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                OpenOptions::new().read(true).open(path)?
            }
            file => file?,
        };
        Ok(Box::new(RealFile { file }))
    }

    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        let metadata = fs::metadata(path)?;
        Ok(Some(Access { mode: metadata.mode() & 0o7777, owner: metadata.uid() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed by someone else between the listing and the look at it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_directory = metadata.is_dir();
            let length_bytes = if is_directory { 0 } else { metadata.len() };
            entries.push(Entry { name, is_directory, length_bytes });
        }
        entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let space = statvfs(path)?;
        Ok(Space {
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            available_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }

    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let directory = fs::File::open(directory)?;
        match directory.try_lock() {
            Ok(()) => Ok(Box::new(directory)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
