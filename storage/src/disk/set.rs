//! The disks of one node, which come and go while it runs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Disk, DiskError, DiskHealth, DiskOwner, Files, Reserve};
use crate::seal::Keys;
use crate::shard::DiskId;

/// The disks that a node has had, as it remembers them: so that a directory whose disk is not mounted is not taken for
/// a new one, and one that was removed not for an own one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownDisks {
    /// Disk of each directory.
    pub disks: BTreeMap<PathBuf, DiskId>,
    /// Directories that were added while the node ran, and are not in its configuration.
    pub added: BTreeSet<PathBuf>,
    /// Disks that were removed, and the directory that each had.
    pub removed: BTreeMap<DiskId, PathBuf>,
    /// Whose the disks are; `None`: nobody asks.
    pub owner: Option<DiskOwner>,
    /// File in which the node keeps this, named to the operator.
    pub list: PathBuf,
}

impl KnownDisks {
    /// The directories to open, of those that the configuration names: the ones that were added come to them, the ones
    /// that were removed and not added again go.
    #[must_use]
    pub fn directories(&self, configured: &[PathBuf]) -> Vec<PathBuf> {
        let removed: BTreeSet<&PathBuf> = self.removed.values().filter(|path| !self.added.contains(*path)).collect();
        let mut directories: Vec<PathBuf> = configured.iter().filter(|path| !removed.contains(path)).cloned().collect();
        directories.extend(self.added.iter().filter(|path| !configured.contains(path)).cloned());
        directories
    }
}

/// A disk that the node is known to have, and that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentDisk {
    /// Its id.
    pub id: DiskId,
    /// Its directory.
    pub path: PathBuf,
    /// What is the matter.
    pub health: DiskHealth,
    /// The same for people, with the way out.
    pub reason: String,
}

/// All data directories of a node, in the order in which the configuration names them, then those added.
#[derive(Debug)]
pub struct Disks {
    files: Arc<dyn Files>,
    keys: Keys,
    reserve: Reserve,
    set: RwLock<Set>,
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    disks: Vec<Arc<Disk>>,
    absent: Vec<AbsentDisk>,
}

impl Disks {
    /// Opens every directory, formatting empty ones that are not `known` with ids from `new_id`. New shards are sealed under
    /// `keys`. A known disk that cannot be used is [absent](Self::absent), unless all are. Blocks.
    ///
    /// # Errors
    /// [`DiskError`] for the first directory that is not known and cannot be used; for the first one if none can.
    pub fn open(
        files: Arc<dyn Files>,
        directories: &[PathBuf],
        known: &KnownDisks,
        reserve: Reserve,
        keys: &Keys,
        new_id: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<Self, DiskError> {
        // One whose last disk was removed waits for another one.
        if directories.is_empty() && known.removed.is_empty() {
            return Err(DiskError::None);
        }
        let mut set = Set::default();
        let mut first_error = None;
        for directory in directories {
            match Disk::open(&files, directory, known, reserve, keys, new_id) {
                Ok(disk) => {
                    set.refuse_twin(&disk)?;
                    set.disks.push(Arc::new(disk));
                }
                Err(error) => {
                    let absent = known.disks.get(directory).and_then(|id| absent(*id, directory, &error));
                    let Some(absent) = absent else { return Err(error) };
                    set.absent.push(absent);
                    first_error.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first_error.filter(|_| set.disks.is_empty()) {
            return Err(error);
        }
        for disk in &set.absent {
            tracing::error!(disk = %disk.id, health = disk.health.name(), reason = disk.reason, "disk cannot be used");
        }
        Ok(Self { files, keys: keys.clone(), reserve, set: RwLock::new(set), generation: AtomicU64::new(0) })
    }

    /// Directory and id of each disk, absent ones included, to be remembered.
    #[must_use]
    pub fn by_directory(&self) -> BTreeMap<PathBuf, DiskId> {
        let set = self.read();
        let absent = set.absent().map(|disk| (disk.path.clone(), disk.id));
        absent.chain(set.disks.iter().map(|disk| (disk.path().to_owned(), disk.id()))).collect()
    }

    /// All disks that are in use, those included that have vanished or fail since.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Disk>> {
        self.read().disks.clone()
    }

    /// Known disks that could not be opened.
    #[must_use]
    pub fn absent(&self) -> Vec<AbsentDisk> {
        self.read().absent().cloned().collect()
    }

    /// Ids of all disks, absent ones included.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<DiskId> {
        let set = self.read();
        set.disks.iter().map(|disk| disk.id()).chain(set.absent().map(|disk| disk.id)).collect()
    }

    /// The disk with this id.
    #[must_use]
    pub fn get(&self, id: DiskId) -> Option<Arc<Disk>> {
        self.read().disks.iter().find(|disk| disk.id() == id).cloned()
    }

    /// Grows whenever a disk comes or goes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Takes another directory into use; formats it if it is empty. Blocks. Of several calls one must be over before the
    /// next begins.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn add(
        &self,
        directory: &Path,
        known: &KnownDisks,
        new_id: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<Arc<Disk>, DiskError> {
        let disk = Disk::open(&self.files, directory, known, self.reserve, &self.keys, new_id)?;
        let mut set = self.write();
        set.refuse_twin(&disk)?;
        let disk = Arc::new(disk);
        set.absent.retain(|absent| absent.path != directory && absent.id != disk.id());
        set.disks.push(Arc::clone(&disk));
        self.generation.fetch_add(1, Ordering::Relaxed);
        Ok(disk)
    }

    /// Takes absent disks into use whose directories hold them again. Blocks, as [`add`](Self::add) does.
    pub fn reopen(&self, known: &KnownDisks) -> Vec<Arc<Disk>> {
        let mut back = Vec::new();
        for disk in self.absent() {
            // Only what is known to be this disk: a known directory is never formatted.
            let known = KnownDisks { disks: [(disk.path.clone(), disk.id)].into(), ..known.clone() };
            if let Ok(disk) = self.add(&disk.path, &known, &mut || disk.id.0) {
                back.push(disk);
            }
        }
        back
    }

    /// Lets go of a disk, present or absent. Its lock falls when the last operation on it is over. Whether there was
    /// one.
    pub fn remove(&self, id: DiskId) -> bool {
        let mut set = self.write();
        let before = set.disks.len() + set.absent.len();
        set.disks.retain(|disk| disk.id() != id);
        set.absent.retain(|disk| disk.id != id);
        let removed = set.disks.len() + set.absent.len() < before;
        if removed {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        removed
    }

    fn read(&self) -> RwLockReadGuard<'_, Set> {
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Set> {
        self.set.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    /// A disk that was moved to another directory is not absent, although its old one is empty.
    fn absent(&self) -> impl Iterator<Item = &AbsentDisk> {
        self.absent.iter().filter(|absent| self.disks.iter().all(|disk| disk.id() != absent.id))
    }

    fn refuse_twin(&self, disk: &Disk) -> Result<(), DiskError> {
        let Some(twin) = self.disks.iter().find(|other| other.id() == disk.id()) else { return Ok(()) };
        Err(DiskError::Duplicate { first: twin.path().to_owned(), second: disk.path().to_owned(), id: disk.id() })
    }
}

/// A known disk that a node can do without for the time being; `None` when it is a mistake that someone has to mend.
fn absent(id: DiskId, directory: &Path, error: &DiskError) -> Option<AbsentDisk> {
    let health = match error {
        DiskError::Gone { .. } => DiskHealth::Vanished,
        DiskError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => DiskHealth::Vanished,
        DiskError::Io { .. } | DiskError::Damaged { .. } => DiskHealth::Failing,
        DiskError::Elsewhere { .. } | DiskError::Retired { .. } => DiskHealth::Foreign,
        DiskError::Foreign { .. }
        | DiskError::Version { .. }
        | DiskError::Duplicate { .. }
        | DiskError::Locked { .. }
        | DiskError::None => return None,
    };
    let reason = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    Some(AbsentDisk { id, path: directory.to_owned(), health, reason })
}
