//! One data directory in use: its id, its lock, its space and its error counters.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::fence::Fence;
use super::identity::STATE;
use super::space::Ledger;
use super::{DiskError, DiskHealth, DiskSpace, Files, KnownDisks, NoSpace, Reserve};
use super::{identity, owner};
use crate::seal::Keys;
use crate::shard::DiskId;

/// Name of a shard file that is being sealed anew, in the directory [`STATE`].
const RESEAL: &str = "reseal";

/// A data directory of this node. It holds the directory's lock for as long as it lives.
pub struct Disk {
    id: DiskId,
    path: PathBuf,
    files: Arc<dyn Files>,
    keys: Keys,
    reserve: Reserve,
    ledger: Ledger,
    io_errors: AtomicU64,
    corrupt_blocks: AtomicU64,
    /// Code of the [`DiskHealth`] found last.
    pub(super) health: AtomicU32,
    pub(super) state: Mutex<DiskState>,
    resealing: Mutex<()>,
    _lock: Box<dyn Send + Sync>,
}

/// What is known of a disk between two examinations.
#[derive(Debug)]
pub(super) struct DiskState {
    pub(super) fence: Fence,
    pub(super) read_only: bool,
    /// When writing was last tried.
    pub(super) probed: Instant,
}

/// What went wrong on a disk since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskErrors {
    /// Calls that the operating system failed.
    pub io: u64,
    /// Blocks and headers whose bytes were not those that were written.
    pub corrupt: u64,
}

impl Disk {
    /// Locks and opens a data directory; formats it if it is empty, unless it is known to have held a disk. A missing
    /// directory is created.
    pub(super) fn open(
        files: &Arc<dyn Files>,
        directory: &Path,
        known: &KnownDisks,
        reserve: Reserve,
        keys: &Keys,
        new_id: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<Self, DiskError> {
        let io = |action| move |source| DiskError::Io { path: directory.to_owned(), action, source };
        // Looked at before anything is created: below a mount point without its mount lies another file system.
        if let Some(expected) = known.disks.get(directory)
            && !identity::is_present(files.as_ref(), directory).map_err(io("read its identity"))?
        {
            return Err(DiskError::Gone { path: directory.to_owned(), expected: *expected, list: known.list.clone() });
        }
        files.create_directory_durable(directory).map_err(io("be created"))?;
        let lock = files.lock(directory).map_err(|source| {
            if source.kind() == io::ErrorKind::WouldBlock {
                DiskError::Locked { path: directory.to_owned() }
            } else {
                io("be locked")(source)
            }
        })?;
        let id = identity::load_or_format(files.as_ref(), directory, new_id)?;
        if known.removed.contains_key(&id) {
            return Err(DiskError::Retired { path: directory.to_owned(), disk: id });
        }
        if let Some(own) = known.owner {
            let is_known = known.disks.values().any(|other| *other == id);
            owner::claim(files.as_ref(), directory, id, own, is_known)?;
        }
        // A shard that was being sealed anew when the node ended: the old one is where it was.
        match files.remove(&directory.join(STATE).join(RESEAL)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %directory.display(), %error, "unfinished shard file left behind");
            }
            _ => {}
        }
        Ok(Self {
            id,
            path: directory.to_owned(),
            files: Arc::clone(files),
            keys: keys.clone(),
            reserve,
            ledger: Ledger::default(),
            io_errors: AtomicU64::new(0),
            corrupt_blocks: AtomicU64::new(0),
            health: AtomicU32::new(DiskHealth::Healthy.code()),
            state: Mutex::new(DiskState { fence: Fence::default(), read_only: false, probed: Instant::now() }),
            resealing: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Id of the disk, from its identity file.
    #[must_use]
    pub fn id(&self) -> DiskId {
        self.id
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system that it lies on.
    #[must_use]
    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// The keys that its shards are sealed under. What the disk keeps about itself is in the clear: it has no content.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Held while one of its shards is sealed anew.
    pub(crate) fn resealing(&self) -> MutexGuard<'_, ()> {
        self.resealing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a shard that is sealed anew is written, with nothing there. Only while [`resealing`](Self::resealing) is held.
    pub(crate) fn reseal_path(&self) -> io::Result<PathBuf> {
        let directory = self.path.join(STATE);
        self.files.create_directory_durable(&directory)?;
        let path = directory.join(RESEAL);
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(path),
        }
    }

    /// Its space, asked from the file system now.
    ///
    /// # Errors
    /// What the file system says; it is counted.
    pub fn space(&self) -> io::Result<DiskSpace> {
        match self.files.space(&self.path) {
            Ok(space) => Ok(DiskSpace::of(space, self.reserve)),
            Err(error) => {
                self.note_failure(&error);
                Err(error)
            }
        }
    }

    /// Whether `bytes` more can be written without touching the reserve.
    ///
    /// # Errors
    /// The outer one is the file system's, the inner one says that there is no space.
    pub fn reserve(&self, bytes: u64) -> io::Result<Result<(), NoSpace>> {
        let enough = self.ledger.promise(bytes, || self.space())?;
        if enough { Ok(Ok(())) } else { self.no_space().map(Err) }
    }

    /// The error of a full disk, with its present figures.
    pub(crate) fn no_space(&self) -> io::Result<NoSpace> {
        Ok(NoSpace {
            path: self.path.clone(),
            used_percent: self.space()?.used_percent(),
            limit_percent: 100 - self.reserve.percent.min(Reserve::PERCENT_MAX),
        })
    }

    /// What went wrong on this disk since it was opened: the ground for taking it out of use.
    #[must_use]
    pub fn errors(&self) -> DiskErrors {
        DiskErrors { io: self.io_errors.load(Ordering::Relaxed), corrupt: self.corrupt_blocks.load(Ordering::Relaxed) }
    }

    /// Counts a failed call and nothing else; [`note_failure`](Self::note_failure) does all that follows from one.
    pub(super) fn count_io_error(&self) {
        self.io_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a bad block or header.
    pub(crate) fn count_corrupt_block(&self) {
        self.corrupt_blocks.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Disk")
            .field("id", &self.id)
            .field("path", &self.path)
            .field("reserve", &self.reserve)
            .field("errors", &self.errors())
            .finish_non_exhaustive()
    }
}
