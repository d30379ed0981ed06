//! The engine of the simulator and of tests: everything in memory, and power loss forgets what was not synced.
//!
//! [`MemoryEngines`] stands for the disk: it lives on while nodes crash and come back. Which store belongs to a
//! directory is told by a small marker file in it, so that a directory that is removed, renamed or lost through
//! [`Files`] takes its store along. Nothing is ever read from the file system but markers and checkpoints.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::checkpoint;
use super::image::Image;
use super::{Batch, Change, Column, Engine, EngineError, EngineOptions, Engines, Pair, Scan};
use crate::disk::Files;
use crate::seal::{self, CheckpointReader, CheckpointWriter, Keys, Seals};

/// Name of the marker file.
const MARKER: &str = "memory-engine";

/// Opens in-memory engines. Clones share their stores.
#[derive(Clone, Debug)]
pub struct MemoryEngines {
    files: Arc<dyn Files>,
    keys: Keys,
    stores: Arc<Mutex<Stores>>,
}

/// All stores by the number in their marker.
#[derive(Debug, Default)]
struct Stores {
    next: u64,
    by_number: BTreeMap<u64, Arc<Mutex<Store>>>,
}

/// One store: what readers see, and what would survive.
#[derive(Debug, Default)]
struct Store {
    /// Directory in which it was opened last.
    path: PathBuf,
    current: Image,
    durable: Image,
    /// Batches in `current` that `durable` does not have yet.
    unsynced: Vec<Batch>,
    /// Whether a handle is open.
    open: bool,
    /// Number of power losses: handles from before one are dead.
    epoch: u64,
}

impl MemoryEngines {
    /// No stores yet; markers and checkpoints go through `files`.
    #[must_use]
    pub fn new(files: Arc<dyn Files>) -> Self {
        Self::with_keys(files, Keys::clear())
    }

    /// The same, with checkpoints that are sealed under these keys: what a store holds otherwise is in memory only.
    #[must_use]
    pub fn with_keys(files: Arc<dyn Files>, keys: Keys) -> Self {
        Self { files, keys, stores: Arc::default() }
    }

    /// Forgets everything that was not synced, in all stores. Handles that are still open fail from now on.
    pub fn power_loss(&self) {
        self.power_loss_torn(&mut |_| 0);
    }

    /// Forgets a part of what was not synced, in all stores: each keeps its first batches, as a journal that ends too
    /// early and a flush by chance do. `kept` is asked for every store that has unsynced batches, in the order in which
    /// the stores were made, and says how many of them stay. Handles that are still open fail from now on.
    pub fn power_loss_torn(&self, kept: &mut dyn FnMut(usize) -> usize) {
        for store in lock(&self.stores).by_number.values() {
            let mut store = lock(store);
            let unsynced = std::mem::take(&mut store.unsynced);
            let kept = if unsynced.is_empty() { 0 } else { kept(unsynced.len()) };
            for batch in unsynced.iter().take(kept) {
                store.durable.apply(batch);
            }
            if kept < unsynced.len() {
                store.current = store.durable.clone();
            }
            store.open = false;
            store.epoch += 1;
        }
    }

    /// Forgets the stores below `prefix` altogether, for a node whose disks were wiped. Their handles fail from now on.
    pub fn forget(&self, prefix: &Path) {
        lock(&self.stores).by_number.retain(|_, store| {
            let mut store = lock(store);
            let forgotten = store.path.starts_with(prefix);
            store.epoch += u64::from(forgotten);
            !forgotten
        });
    }

    /// Number in the marker of a directory, if it has one.
    fn marker(&self, directory: &Path) -> Result<Option<u64>, EngineError> {
        let content = match self.read_checkpoint(&directory.join(MARKER)) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(directory, error)),
        };
        let number = String::from_utf8(content).ok().and_then(|text| text.trim_end().parse().ok());
        number.map(Some).ok_or_else(|| failed(directory, "its marker is damaged"))
    }

    /// What a directory without a marker begins with: its checkpoint, or nothing.
    fn first_image(&self, directory: &Path) -> Result<Image, EngineError> {
        match self.read_checkpoint(&directory.join(checkpoint::FILE)) {
            Ok(content) => checkpoint::decode(content).map_err(|reason| failed(directory, reason)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Image::default()),
            Err(error) => Err(failed(directory, error)),
        }
    }

    fn read_checkpoint(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.read_checkpoint_file(path)?;
        let length = usize::try_from(file.length_bytes()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut content = vec![0; length];
        file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }

    /// The store of a directory, made if the directory has none.
    fn store(&self, directory: &Path) -> Result<Arc<Mutex<Store>>, EngineError> {
        let marker = self.marker(directory)?;
        let mut stores = lock(&self.stores);
        if let Some(number) = marker {
            let store = stores.by_number.get(&number).cloned();
            let store = store.ok_or_else(|| failed(directory, "its store is not in this memory"))?;
            // A marker whose own sync failed would take with it what is synced in the store from now on.
            self.files.sync_directory(directory).map_err(|error| failed(directory, error))?;
            return Ok(store);
        }
        let image = self.first_image(directory)?;
        let number = stores.next;
        stores.next += 1;
        let store = Arc::new(Mutex::new(Store {
            path: directory.to_owned(),
            current: image.clone(),
            durable: image,
            ..Store::default()
        }));
        // The store first: a marker whose writing failed half-way may be there all the same.
        stores.by_number.insert(number, Arc::clone(&store));
        self.files
            .create_directory_durable(directory)
            .and_then(|()| self.files.replace(&directory.join(MARKER), format!("{number}\n").as_bytes()))
            .map_err(|error| failed(directory, error))?;
        // The directory was removed or lost since an earlier store was in it: so is what it held. Until the new marker
        // is durable, a power loss could have brought the old one back.
        stores.by_number.retain(|other, store| *other == number || lock(store).path != directory);
        Ok(store)
    }
}

impl Engines for MemoryEngines {
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError> {
        let store = self.store(directory)?;
        let mut guard = lock(&store);
        if guard.open {
            return Err(failed(directory, "it is open already"));
        }
        let known = |name: &String| options.columns.iter().any(|column| column.0 == name);
        if let Some(name) = guard.current.columns.keys().find(|name| !known(name)) {
            return Err(failed(directory, format!("its column {name:?} was not named")));
        }
        guard.open = true;
        directory.clone_into(&mut guard.path);
        let epoch = guard.epoch;
        drop(guard);
        Ok(Arc::new(MemoryEngine {
            path: directory.to_owned(),
            columns: options.columns,
            files: Arc::clone(&self.files),
            keys: self.keys.clone(),
            store,
            epoch,
        }))
    }

    fn read_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointReader>> {
        seal::files::read(self.files.as_ref(), &self.keys, path)
    }

    fn rewrite_checkpoint(&self, directory: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        seal::files::rewrite_all(self.files.as_ref(), &self.keys, directory, goes_on)
    }

    fn create_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointWriter>> {
        seal::files::create(self.files.as_ref(), &self.keys, path)
    }
}

/// An open handle of a store.
#[derive(Debug)]
struct MemoryEngine {
    path: PathBuf,
    columns: &'static [Column],
    files: Arc<dyn Files>,
    keys: Keys,
    store: Arc<Mutex<Store>>,
    epoch: u64,
}

impl MemoryEngine {
    fn live(&self) -> Result<MutexGuard<'_, Store>, EngineError> {
        let store = lock(&self.store);
        if store.epoch == self.epoch { Ok(store) } else { Err(failed(&self.path, "the power was lost")) }
    }

    fn check(&self, column: Column) -> Result<(), EngineError> {
        if self.columns.contains(&column) {
            return Ok(());
        }
        Err(EngineError::UnknownColumn { path: self.path.clone(), column: column.0 })
    }

    fn write_checkpoint(&self, directory: &Path, content: &[u8]) -> io::Result<()> {
        if self.files.list(directory).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.files.create_directory_all(directory)?;
        let mut file = seal::files::create(self.files.as_ref(), &self.keys, &directory.join(checkpoint::FILE))?;
        file.append(content)?;
        file.finish()?;
        self.files.sync_directory(directory)?;
        self.files.sync_directory(directory.parent().unwrap_or(Path::new(".")))
    }
}

impl Engine for MemoryEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.check(column)?;
        Ok(self.live()?.current.get(column.0, key))
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.check(scan.column)?;
        Ok(self.live()?.current.scan(scan))
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        for change in &batch.changes {
            let (Change::Put(column, ..) | Change::Delete(column, _) | Change::DeleteRange(column, ..)) = change;
            self.check(*column)?;
        }
        let mut store = self.live()?;
        store.current.apply(&batch);
        store.unsynced.push(batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        let mut store = self.live()?;
        for batch in std::mem::take(&mut store.unsynced) {
            store.durable.apply(&batch);
        }
        Ok(())
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        let content = checkpoint::encode(&self.live()?.current);
        self.write_checkpoint(directory, &content).map_err(|error| failed(&self.path, error))
    }

    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        self.sync()?;
        // The marker, and the checkpoint that the store began with.
        let rewritten = seal::files::rewrite_all(self.files.as_ref(), &self.keys, &self.path, goes_on);
        rewritten.map_err(|error| failed(&self.path, error))
    }

    fn seals(&self) -> Result<Seals, EngineError> {
        Ok(Seals::new())
    }
}

impl Drop for MemoryEngine {
    fn drop(&mut self) {
        if let Ok(mut store) = self.live() {
            store.open = false;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(path: &Path, error: impl fmt::Display) -> EngineError {
    EngineError::Engine { path: path.to_owned(), message: error.to_string() }
}
