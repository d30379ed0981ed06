//! The disks of one node.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Disk, DiskError, Files, Reserve};
use crate::shard::DiskId;

/// All data directories of a node, in the order in which the configuration names them.
#[derive(Clone, Debug)]
pub struct Disks {
    disks: Vec<Arc<Disk>>,
}

impl Disks {
    /// Opens every directory, formatting empty ones with ids from `new_id`. Blocks.
    ///
    /// # Errors
    /// [`DiskError`] for the first directory that cannot be used.
    #[expect(clippy::needless_pass_by_value, reason = "each disk keeps a share of it")]
    pub fn open(
        files: Arc<dyn Files>,
        directories: &[PathBuf],
        reserve: Reserve,
        new_id: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<Self, DiskError> {
        if directories.is_empty() {
            return Err(DiskError::None);
        }
        let mut disks: Vec<Arc<Disk>> = Vec::with_capacity(directories.len());
        for directory in directories {
            let disk = Disk::open(&files, directory, reserve, new_id)?;
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
