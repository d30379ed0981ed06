//! The file seam: every file and directory operation of the project, as blocking calls.
//!
//! [`RealFiles`](super::RealFiles) is the operating system; the simulator has a disk of its own that
//! forgets what was not synced. Callers run these inside [`Exec::run`](crate::exec::Exec::run).

use std::fmt::Debug;
use std::io;
use std::path::Path;

/// Space of the file system under a path, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All bytes of the file system.
    pub total_bytes: u64,
    /// Bytes that an unprivileged process can still write.
    pub available_bytes: u64,
}

/// Who may use a file, as the operating system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Mode bits, as in `chmod`.
    pub mode: u32,
    /// Id of the user who owns it.
    pub owner: u32,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// File name without its directory. Names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Length in bytes, 0 for directories.
    pub length_bytes: u64,
}

/// An open file. Positioned reads and writes, so that one handle serves several readers.
pub trait File: Debug + Send + Sync {
    /// Reads at most `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file as needed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes the parts one behind the other, beginning at `offset`: one system call where the platform has it, so that
    /// nothing has to be copied together first.
    fn write_all_parts_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        for part in parts {
            self.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Makes data and length durable (fsync).
    fn sync(&self) -> io::Result<()>;

    /// Starts writing dirty pages in this range back, without waiting and without any promise. A hint that spreads
    /// the cost of a later [`sync`](Self::sync).
    fn start_writeback(&self, _offset: u64, _length_bytes: u64) {}

    /// Asks the operating system to forget what it has cached of this range, so that the next read comes from the disk.
    /// A hint; what was not written back yet stays.
    fn drop_cached(&self, _offset: u64, _length_bytes: u64) {}

    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Exactly `length_bytes` from `offset` in a new buffer, or [`io::ErrorKind::UnexpectedEof`]. Where the platform
    /// can, the buffer is not filled with zeros first.
    fn read_vec_at(&self, length_bytes: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; length_bytes];
        self.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }
}

/// A file system. A new, renamed or removed entry is durable only after [`sync_directory`](Self::sync_directory) of
/// its directory.
pub trait Files: Debug + Send + Sync + 'static {
    /// Creates a file that must not exist yet, open for reading and writing. Readable by its owner only.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Renames, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents.
    fn create_directory_all(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents, and makes their entries durable. One whose entry could not be made
    /// durable is removed again, so that a later call does not take it for durable.
    fn create_directory_durable(&self, path: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        for directory in path.ancestors().filter(|directory| !directory.as_os_str().is_empty()) {
            match self.list(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(directory),
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        for directory in missing.into_iter().rev() {
            self.create_directory_all(directory)?;
            // The empty parent of a relative path is the working directory.
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Err(error) = self.sync_directory(parent.unwrap_or(Path::new("."))) {
                // Best effort: what is reported is that the sync failed.
                let _ = self.remove_directory_all(directory);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes a directory with all it contains; a missing one is no error.
    fn remove_directory_all(&self, path: &Path) -> io::Result<()>;

    /// Entries of a directory, sorted by name.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Makes the entries of a directory durable (fsync of the directory).
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Space of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes an advisory exclusive lock on the directory for as long as the guard lives, so that two processes never
    /// use one data directory. Fails with [`io::ErrorKind::WouldBlock`] when it is held.
    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>>;

    /// Who may use a file. `None` where files belong to nobody: in the simulator.
    fn access(&self, _path: &Path) -> io::Result<Option<Access>> {
        Ok(None)
    }

    /// Whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let length = usize::try_from(file.length()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        file.read_vec_at(length, 0)
    }

    /// Replaces the content of a file so that a power cut leaves either the old or the new one: temporary file, sync,
    /// rename, sync of the directory.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = path.with_extension("tmp");
        match self.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.create(&temporary)?;
        file.write_all_at(content, 0)?;
        file.sync()?;
        self.rename(&temporary, path)?;
        self.sync_directory(directory)
    }
}
