//! What this node keeps, rewritten: its secrets, the log and the groups, the shard files of its disks.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft::catalog::{Catalog, DiskLocation};
use raft::directory::Directory;
use raft::group::{Group, GroupError, LogStore};
use storage::disk::{Disk, DiskHealth, Files};
use storage::exec::Exec;
use storage::kv::EngineError;
use storage::seal::{self, KeyId};
use storage::shard::{DiskId, ShardError, ShardName, reseal, seal_of};

use super::content::{BytesByKey, Content, Failed, Found, OlderFile, Trouble};
use crate::environment::BoxFuture;
use crate::gateway::catalog::Records;
use crate::identity::Store;
use crate::shards::LocalShards;

/// Headers that are read at a time.
const HEADERS_AT_ONCE: usize = 256;

/// What it is made of.
pub(crate) struct Parts {
    /// The secrets.
    pub(crate) store: Store,
    /// The groups' log.
    pub(crate) log: Arc<LogStore>,
    /// The directory.
    pub(crate) directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub(crate) catalog: Arc<Group<Catalog>>,
    /// Directories of the databases.
    pub(crate) databases: Vec<PathBuf>,
    /// The own shards.
    pub(crate) local: LocalShards,
    /// Files.
    pub(crate) files: Arc<dyn Files>,
    /// Blocking work.
    pub(crate) exec: Exec,
}

/// What this node keeps.
pub(crate) struct OwnContent {
    parts: Parts,
}

impl std::fmt::Debug for OwnContent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OwnContent").field("databases", &self.parts.databases).finish_non_exhaustive()
    }
}

impl OwnContent {
    pub(crate) const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    pub(super) const fn exec(&self) -> Exec {
        self.parts.exec
    }

    fn location(&self, disk: DiskId) -> DiskLocation {
        DiskLocation { node: self.parts.local.own(), disk }
    }

    /// The disk, if it can be read and written.
    fn usable(&self, disk: DiskId) -> Result<Arc<Disk>, Trouble> {
        let found = self.parts.local.disks().get(disk);
        let usable = |disk: &Arc<Disk>| matches!(disk.health(), DiskHealth::Healthy | DiskHealth::Full);
        found.filter(usable).ok_or_else(|| format!("disk {disk} is out of use: regnode disk list says why"))
    }
}

impl Content for OwnContent {
    fn seal_secrets(&self) -> BoxFuture<'_, Result<(), Trouble>> {
        let store = self.parts.store.clone();
        Box::pin(async move {
            let sealed = self.parts.exec.run(move || store.seal_secrets()).await;
            sealed.map(drop).map_err(|error| told(&error))
        })
    }

    fn rewrite_databases(&self, under: Option<KeyId>) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move {
            let Parts { log, directory, catalog, .. } = &self.parts;
            let older = self.older_files(under).await?;
            let of = |path: &Path| older.iter().any(|file| file.path.starts_with(path));
            let (of_directory, of_catalog) = (of(directory.path()), of(catalog.path()));
            let in_group =
                |file: &OlderFile| file.path.starts_with(directory.path()) || file.path.starts_with(catalog.path());
            // One that fails keeps no other one from being rewritten.
            let mut results = Vec::new();
            if older.iter().any(|file| !in_group(file)) {
                results.push(log.rewrite().await);
            }
            if of_directory {
                results.push(directory.rewrite().await);
            }
            if of_catalog {
                results.push(catalog.rewrite().await);
            }
            // What lacks room alone is tried again sooner than what is stuck.
            let (lacking, stuck): (Vec<_>, Vec<_>) = results.into_iter().filter_map(Result::err).partition(lacks_room);
            match (stuck.first(), lacking.first()) {
                (Some(error), _) => Err(Failed::Other(told(error))),
                (None, Some(error)) => Err(Failed::NoRoom(told(error))),
                (None, None) => Ok(()),
            }
        })
    }

    fn older_files(&self, under: Option<KeyId>) -> BoxFuture<'_, Result<Vec<OlderFile>, Trouble>> {
        let (files, directories) = (Arc::clone(&self.parts.files), self.parts.databases.clone());
        Box::pin(async move {
            let look = move || {
                let mut older = Vec::new();
                for directory in directories {
                    let found = seal::survey_files(files.as_ref(), &directory)?;
                    let stale = found.into_iter().filter(|file| file.key != under);
                    older.extend(stale.map(|file| OlderFile { path: file.path, bytes: file.length_bytes }));
                }
                Ok(older)
            };
            self.parts.exec.run(look).await.map_err(|error: std::io::Error| told(&error))
        })
    }

    fn databases(&self) -> BoxFuture<'_, Result<BytesByKey, Trouble>> {
        let (files, directories) = (Arc::clone(&self.parts.files), self.parts.databases.clone());
        Box::pin(async move {
            let look = move || {
                let mut sum = BytesByKey::new();
                for directory in directories {
                    for (key, bytes) in seal::survey(files.as_ref(), &directory)? {
                        *sum.entry(key).or_default() += bytes;
                    }
                }
                Ok(sum)
            };
            self.parts.exec.run(look).await.map_err(|error: std::io::Error| told(&error))
        })
    }

    fn disks(&self) -> Vec<DiskId> {
        self.parts.local.disks().all().iter().map(|disk| disk.id()).collect()
    }

    fn generation(&self) -> u64 {
        self.parts.local.disks().generation()
    }

    fn absent(&self) -> Vec<String> {
        let absent = self.parts.local.disks().absent();
        absent.iter().map(|disk| format!("disk {} at {}", disk.id, disk.path.display())).collect()
    }

    fn totals(&self) -> (u64, u64) {
        let view = self.parts.catalog.view();
        let of = |disk: &DiskId| view.disk_totals(self.location(*disk)).unwrap_or_default();
        let totals: Vec<_> = self.disks().iter().map(of).collect();
        (totals.iter().map(|disk| disk.shards).sum(), totals.iter().map(|disk| disk.bytes).sum())
    }

    fn list(&self, disk: DiskId, page: u8) -> BoxFuture<'_, Result<Vec<Found>, Trouble>> {
        Box::pin(async move {
            let disk = self.usable(disk)?;
            let listing = Arc::clone(&disk);
            let listed = self.parts.exec.run(move || listing.list_shards(page)).await.map_err(|error| told(&error))?;
            let mut found = Vec::with_capacity(listed.len());
            for some in listed.chunks(HEADERS_AT_ONCE) {
                let (disk, some) = (Arc::clone(&disk), some.to_vec());
                let look = move || {
                    let mut found = Vec::with_capacity(some.len());
                    for shard in some {
                        match seal_of(&disk, &shard.name) {
                            Ok(under) => found.push(Found { name: shard.name, bytes: shard.length_bytes, under }),
                            // Gone, or nothing that could ever be read: neither lies under a key. A writer that has a key
                            // writes the header as soon as it has created the file.
                            Err(ShardError::Missing { .. } | ShardError::Corrupt { .. }) => {}
                            Err(error) => return Err(told(&error)),
                        }
                    }
                    Ok(found)
                };
                found.extend(self.parts.exec.run(look).await?);
            }
            Ok(found)
        })
    }

    fn is_placed(&self, disk: DiskId, name: &ShardName) -> Result<bool, Trouble> {
        let record = self.parts.catalog.view().extent(name.object, name.extent).map_err(|error| told(&error))?;
        let coded = record.and_then(|record| record.body.into_coded());
        Ok(coded.is_some_and(|coded| coded.refers_to(self.location(disk), name)))
    }

    fn reseal(&self, disk: DiskId, name: ShardName) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(async move {
            let disk = self.usable(disk)?;
            match self.parts.exec.run(move || reseal(&disk, &name)).await {
                Ok(_) | Err(ShardError::Missing { .. }) => Ok(()),
                Err(error) => Err(told(&error)),
            }
        })
    }
}

/// Whether only free space was missing.
fn lacks_room(error: &GroupError) -> bool {
    match error {
        GroupError::Engine(error) => matches!(error, EngineError::NoRoom { .. }),
        GroupError::File { source, .. } => source.kind() == ErrorKind::StorageFull,
        _ => false,
    }
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
