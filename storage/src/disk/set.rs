//! The disks of one node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Disk, DiskError, Files, Reserve};
use crate::shard::DiskId;

/// The disks that a node has had, as it remembers them: so that a directory whose disk is not mounted is not taken for
/// a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownDisks {
    /// Disk of each directory.
    pub disks: BTreeMap<PathBuf, DiskId>,
    /// File in which the node keeps this, named to the operator.
    pub list: PathBuf,
}

/// All data directories of a node, in the order in which the configuration names them.
#[derive(Clone, Debug)]
pub struct Disks {
    disks: Vec<Arc<Disk>>,
}

impl Disks {
    /// Opens every directory, formatting empty ones that are not `known` with ids from `new_id`. Blocks.
    ///
    /// # Errors
    /// [`DiskError`] for the first directory that cannot be used.
    #[expect(clippy::needless_pass_by_value, reason = "each disk keeps a share of it")]
    pub fn open(
        files: Arc<dyn Files>,
        directories: &[PathBuf],
        known: &KnownDisks,
        reserve: Reserve,
        new_id: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<Self, DiskError> {
        if directories.is_empty() {
            return Err(DiskError::None);
        }
        let mut disks: Vec<Arc<Disk>> = Vec::with_capacity(directories.len());
        for directory in directories {
            let disk = Disk::open(&files, directory, known, reserve, new_id)?;
            if let Some(twin) = disks.iter().find(|other| other.id() == disk.id()) {
                return Err(DiskError::Duplicate {
                    first: twin.path().to_owned(),
                    second: directory.clone(),
                    id: disk.id(),
                });
            }
            disks.push(Arc::new(disk));
        }
        Ok(Self { disks })
    }

    /// Directory and id of each disk, to be remembered.
    #[must_use]
    pub fn by_directory(&self) -> BTreeMap<PathBuf, DiskId> {
        self.disks.iter().map(|disk| (disk.path().to_owned(), disk.id())).collect()
    }

    /// All disks, in configuration order.
    #[must_use]
    pub fn all(&self) -> &[Arc<Disk>] {
        &self.disks
    }

    /// The disk with this id.
    #[must_use]
    pub fn get(&self, id: DiskId) -> Option<&Arc<Disk>> {
        self.disks.iter().find(|disk| disk.id() == id)
    }
}
