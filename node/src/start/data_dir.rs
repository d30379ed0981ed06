//! What is on disk: the data directory's lock, the identity, the disks.

use std::io;
use std::sync::Arc;

use storage::disk::{Disks, KnownDisks, Reserve};

use super::error::StartError;
use crate::cluster::Certificates;
use crate::config::Settings;
use crate::environment::Environment;
use crate::identity::{Credentials, Founding, Identity, Store};
use crate::shards::disk_owner;

/// An opened data directory.
pub(super) struct DataDir {
    pub(super) store: Store,
    pub(super) identity: Identity,
    pub(super) founding: Option<Founding>,
    /// Whether the node founds its region's catalog.
    pub(super) founds_region: bool,
    /// `None` without certificates.
    pub(super) credentials: Option<Credentials>,
    pub(super) disks: Arc<Disks>,
    pub(super) lock: Box<dyn Send + Sync>,
}

/// Opens the data directory. Blocks.
pub(super) fn open(
    environment: &Environment,
    settings: &Settings,
    certificates: Certificates,
) -> Result<DataDir, StartError> {
    let path = &settings.data_dir;
    let lock = environment.files.lock(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StartError::NotSetUp(path.clone()),
        io::ErrorKind::WouldBlock => StartError::InUse(path.clone()),
        _ => StartError::DataDirectory { path: path.clone(), action: "be locked", source },
    })?;
    let store = Store::new(Arc::clone(&environment.files), path);
    let identity = store.identity()?.ok_or_else(|| StartError::NotSetUp(path.clone()))?;
    let founding = store.founding()?;
    let founds_region = store.is_founding_region()?;
    let credentials = match certificates {
        Certificates::Issued => Some(store.credentials()?.ok_or_else(|| StartError::NoCertificate(path.clone()))?),
        Certificates::None => None,
    };
    let reserve = Reserve { percent: settings.storage.reserve_percent };
    let mut new_id = || environment.entropy.id();
    let known = KnownDisks { owner: Some(disk_owner(&identity)), ..store.known_disks()? };
    let directories = known.directories(&settings.disk_directories());
    let disks = Disks::open(Arc::clone(&environment.files), &directories, &known, reserve, &mut new_id)?;
    // A directory that is not named any more is forgotten: whatever it is named for later is new.
    let present = KnownDisks { disks: disks.by_directory(), ..known.clone() };
    if present != known {
        store.write_known_disks(&present)?;
    }
    Ok(DataDir { store, identity, founding, founds_region, credentials, disks: Arc::new(disks), lock })
}
