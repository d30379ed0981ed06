//! What is on disk: the data directory's lock, the vault, the identity, the disks.

use std::io;
use std::sync::Arc;

use storage::disk::{Disks, KnownDisks, Reserve};
use tracing::info;

use super::error::StartError;
use crate::cluster::Certificates;
use crate::config::Settings;
use crate::environment::Environment;
use crate::identity::{Credentials, Founding, Identity, Store};
use crate::shards::disk_owner;
use crate::vault::Vault;

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
    pub(super) vault: Vault,
    pub(super) lock: Lock,
}

/// A lock on a data directory.
type Lock = Box<dyn Send + Sync>;

/// Locks the data directory and opens its vault, then everything else in it.
pub(super) async fn open(
    environment: &Environment,
    settings: &Arc<Settings>,
    certificates: Certificates,
) -> Result<DataDir, StartError> {
    let exec = environment.exec;
    let (environment, settings) = (environment.clone(), Arc::clone(settings));
    let (held, of) = (environment.clone(), Arc::clone(&settings));
    let lock = exec.run(move || lock(&held, &of)).await?;
    let vault = Vault::open(&environment, &settings, false).await?;
    exec.run(move || read(&environment, &settings, certificates, vault, lock)).await
}

/// Locks a data directory that belongs to a node. Blocks.
fn lock(environment: &Environment, settings: &Settings) -> Result<Lock, StartError> {
    let path = &settings.data_dir;
    let lock = environment.files.lock(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StartError::NotSetUp(path.clone()),
        io::ErrorKind::WouldBlock => StartError::InUse(path.clone()),
        _ => StartError::DataDirectory { path: path.clone(), action: "be locked", source },
    })?;
    // A directory without a node gets no keyring.
    let store = Store::new(Arc::clone(&environment.files), path);
    store.identity()?.map(|_| lock).ok_or_else(|| StartError::NotSetUp(path.clone()))
}

/// Reads what is on disk. Blocks.
fn read(
    environment: &Environment,
    settings: &Settings,
    certificates: Certificates,
    vault: Vault,
    lock: Lock,
) -> Result<DataDir, StartError> {
    let path = &settings.data_dir;
    let store = Store::new(Arc::clone(&environment.files), path).with_vault(vault.clone());
    let sealed = store.seal_secrets()?;
    if sealed > 0 {
        info!(files = sealed, "secrets of the node were encrypted");
    }
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
    let files = Arc::clone(&environment.files);
    let disks = Disks::open(files, &directories, &known, reserve, &environment.keys, &mut new_id)?;
    // A directory that is not named any more is forgotten: whatever it is named for later is new.
    let present = KnownDisks { disks: disks.by_directory(), ..known.clone() };
    if present != known {
        store.write_known_disks(&present)?;
    }
    Ok(DataDir { store, identity, founding, founds_region, credentials, disks: Arc::new(disks), vault, lock })
}
