//! The node's own disks as an operator sees and changes them: listed, added and removed while the node runs.
//!
//! What is changed here is remembered in the identity's list of disks before it is told to be done, so that a restart
//! finds the same disks whatever the configuration says. Emptying a disk is not here: an operator's wish stands in the
//! directory, and the background work follows it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::DiskLocation;
use raft::id::NodeId;
use serde::{Deserialize, Serialize};
use storage::disk::{AbsentDisk, Disk, DiskError, DiskHealth, DiskOwner, Disks, KnownDisks};
use storage::exec::Exec;
use storage::shard::DiskId;
use tokio::sync::Mutex;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::environment::{Entropy, Environment};
use crate::gateway::catalog::Records;
use crate::identity::{Identity, IdentityError, Store};

/// Time between two looks for absent disks.
const REOPEN_INTERVAL: Duration = Duration::from_secs(10);

/// Whose the disks of a node are.
pub(crate) fn disk_owner(identity: &Identity) -> DiskOwner {
    DiskOwner { cluster: identity.cluster.0, node: identity.node.0 }
}

/// One disk of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskReport {
    /// Its id, hexadecimal.
    pub id: String,
    /// Its directory.
    pub path: PathBuf,
    /// Name of its [`DiskHealth`].
    pub health: String,
    /// What is the matter and what to do about it; empty for a healthy disk.
    pub advice: String,
    /// Size of its file system; 0 if it does not tell.
    pub capacity_bytes: u64,
    /// What shards can still use.
    pub available_bytes: u64,
    /// Failed calls since it was opened.
    pub io_errors: u64,
    /// Damaged blocks met since it was opened.
    pub corrupt_blocks: u64,
    /// Whether it could be opened.
    pub present: bool,
}

/// Why a disk was not added or removed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum DiskChangeError {
    /// The directory's path is not absolute, or not text.
    #[error("{path:?} is not the absolute path of a directory: name one that begins with \"/\"")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The node has no such disk.
    #[error("this node has no disk {id}: regnode disk list shows those that it has")]
    Unknown {
        /// The id.
        id: DiskId,
    },
    /// The disk is still needed.
    #[error(
        "disk {id} still holds {shards} shards ({bytes} bytes): empty it first with regnode disk drain, or name --force, \
         and they are rebuilt from other disks"
    )]
    Holds {
        /// The disk.
        id: DiskId,
        /// Shards that the catalog places on it.
        shards: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The node would have no disk left.
    #[error("disk {id} is the last one of this node: add another one first with regnode disk add")]
    Last {
        /// The disk.
        id: DiskId,
    },
    /// Whether it is still needed cannot be found out.
    #[error("what the disk holds cannot be asked now ({message}): try again when the region has a leader")]
    Unavailable {
        /// What the catalog said.
        message: String,
    },
    /// The change cannot be remembered.
    #[error("the node's list of disks cannot be written")]
    NotRemembered(#[from] IdentityError),
}

/// The own disks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalDisks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    own: NodeId,
    owner: DiskOwner,
    disks: Arc<Disks>,
    store: Store,
    records: Arc<dyn Records>,
    entropy: Arc<dyn Entropy>,
    exec: Exec,
    /// One change at a time.
    change: Mutex<()>,
}

impl LocalDisks {
    /// The disks of a node.
    pub(crate) fn new(
        identity: &Identity,
        disks: Arc<Disks>,
        store: Store,
        records: Arc<dyn Records>,
        environment: &Environment,
    ) -> Self {
        let inner = Inner {
            own: identity.node,
            owner: disk_owner(identity),
            disks,
            store,
            records,
            entropy: Arc::clone(&environment.entropy),
            exec: environment.exec,
            change: Mutex::new(()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// All of them, absent ones at the end.
    pub async fn list(&self) -> Vec<DiskReport> {
        let disks = Arc::clone(&self.inner.disks);
        let listed = move || {
            let present = disks.all().into_iter().map(|disk| report(&disk));
            present.chain(disks.absent().into_iter().map(absent_report)).collect()
        };
        self.inner.exec.run(listed).await
    }

    /// Takes a directory into use as a disk, formatting it if it is empty.
    ///
    /// # Errors
    /// Why it cannot be used, or that this cannot be remembered.
    pub async fn add(&self, path: PathBuf) -> Result<DiskReport, DiskChangeError> {
        if !path.is_absolute() || path.to_str().is_none() {
            return Err(DiskChangeError::Path { path });
        }
        let _alone = self.inner.change.lock().await;
        let inner = Arc::clone(&self.inner);
        let report = self.inner.exec.run(move || inner.add(path)).await?;
        info!(disk = report.id, path = %report.path.display(), "disk added");
        Ok(report)
    }

    /// Lets go of a disk. One that the catalog still places shards on, or the last one, only with `force`. Its directory
    /// stays as it is; it is not taken for a disk of this node again.
    ///
    /// # Errors
    /// Why it must stay, or that this cannot be remembered.
    pub async fn remove(&self, id: DiskId, force: bool) -> Result<(), DiskChangeError> {
        let inner = &self.inner;
        let _alone = inner.change.lock().await;
        if !inner.disks.ids().contains(&id) {
            return Err(DiskChangeError::Unknown { id });
        }
        if !force {
            let unavailable = |message: String| DiskChangeError::Unavailable { message };
            inner.records.barrier().await.map_err(|error| unavailable(error.to_string()))?;
            let location = DiskLocation { node: inner.own, disk: id };
            let held = inner.records.view().disk_totals(location).map_err(|error| unavailable(error.to_string()))?;
            if held.shards > 0 {
                return Err(DiskChangeError::Holds { id, shards: held.shards, bytes: held.bytes });
            }
            if inner.disks.all().iter().all(|disk| disk.id() == id) {
                return Err(DiskChangeError::Last { id });
            }
        }
        let working = Arc::clone(inner);
        inner.exec.run(move || working.remove(id)).await?;
        info!(disk = %id, force, "disk removed");
        Ok(())
    }

    /// Takes absent disks into use when they are back. Never ends.
    pub(crate) async fn keep(self) {
        loop {
            sleep(REOPEN_INTERVAL).await;
            if self.inner.disks.absent().is_empty() {
                continue;
            }
            let _alone = self.inner.change.lock().await;
            let inner = Arc::clone(&self.inner);
            match self.inner.exec.run(move || Ok::<_, IdentityError>(inner.disks.reopen(&inner.known()?))).await {
                Ok(back) => {
                    for disk in back {
                        info!(disk = %disk.id(), path = %disk.path().display(), "disk is back");
                    }
                }
                Err(error) => warn!(%error, "the list of disks cannot be read"),
            }
        }
    }
}

impl Inner {
    fn known(&self) -> Result<KnownDisks, IdentityError> {
        Ok(KnownDisks { owner: Some(self.owner), ..self.store.known_disks()? })
    }

    fn add(&self, path: PathBuf) -> Result<DiskReport, DiskChangeError> {
        let mut known = self.known()?;
        let disk = self.disks.add(&path, &known, &mut || self.entropy.id())?;
        known.disks = self.disks.by_directory();
        known.added.insert(path);
        if let Err(error) = self.store.write_known_disks(&known) {
            self.disks.remove(disk.id());
            return Err(error.into());
        }
        Ok(report(&disk))
    }

    fn remove(&self, id: DiskId) -> Result<(), IdentityError> {
        let mut known = self.known()?;
        let directory = self.disks.by_directory().into_iter().find(|(_, disk)| *disk == id);
        let Some((directory, _)) = directory else { return Ok(()) };
        known.disks.remove(&directory);
        known.added.remove(&directory);
        known.removed.insert(id, directory);
        self.store.write_known_disks(&known)?;
        self.disks.remove(id);
        Ok(())
    }
}

/// What is to be said of a disk. Blocks.
fn report(disk: &Disk) -> DiskReport {
    let (health, errors, space) = (disk.health(), disk.errors(), disk.space().ok());
    DiskReport {
        id: disk.id().to_string(),
        path: disk.path().to_owned(),
        health: health.name().to_owned(),
        advice: health.advice().to_owned(),
        capacity_bytes: space.map_or(0, |space| space.capacity_bytes),
        available_bytes: space.map_or(0, |space| space.available_bytes),
        io_errors: errors.io,
        corrupt_blocks: errors.corrupt,
        present: health != DiskHealth::Vanished,
    }
}

fn absent_report(disk: AbsentDisk) -> DiskReport {
    DiskReport {
        id: disk.id.to_string(),
        path: disk.path,
        health: disk.health.name().to_owned(),
        advice: disk.reason,
        capacity_bytes: 0,
        available_bytes: 0,
        io_errors: 0,
        corrupt_blocks: 0,
        present: false,
    }
}
