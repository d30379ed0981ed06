//! The state of one group on disk: which engine is current, how effects get into it, how it is made durable.
//!
//! What holds: `state-<n>` is one generation of the state, the highest number is the current one; the position up to
//! which it has applied the log lies in the same batch as the effects; generations are replaced whole, by a rename.
//! Writes are not journalled: [`StateStore::flush`] makes them durable, and only what is durable is ever purged from
//! the log, since a snapshot begins and ends with a flush.
//!
//! All methods block. The asynchronous face, as openraft sees it, is [`super::state_machine`].

mod outdated;

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use storage::disk::Files;
use storage::kv::{Bytes, Column, Engine, EngineError, EngineOptions, Engines};
use storage::switch;
use tokio::sync::watch;
use tracing::{info, warn};

use super::config::{Payload, Proposal};
use super::digest::{self, StateDigest};
use super::error::GroupError;
use super::options::{GroupOptions, GroupResources};
use super::record::{AppliedRecord, LogIdRecord, StoredMembershipRecord};
use super::snapshot::{self, Draft, SnapshotData, StoredSnapshot, TEMPORARY};
use super::witness::{Observer, Restoration};
use crate::codec;
use crate::id::GroupId;
use crate::machine::{Machine, Transaction};

/// The group's own column beside the machine's.
const GROUP: Column = Column("group");
/// Key of the applied position within it.
const APPLIED: &[u8] = b"applied";
/// Effects that are gathered before they are written.
const TRANSACTION_BYTES: usize = 8 << 20;
const STATE_PREFIX: &str = "state-";
const INCOMING_PREFIX: &str = "incoming-";

/// The columns of a machine's engine with [`GROUP`] among them, made at compile time.
struct Columns<M>(PhantomData<M>);

impl<M: Machine> Columns<M> {
    const PADDED: [Column; 64] = {
        let mut padded = [GROUP; 64];
        let mut index = 0;
        while index < M::COLUMNS.len() {
            padded[index] = M::COLUMNS[index];
            index += 1;
        }
        padded
    };
    const ALL: &'static [Column] = {
        let padded: &'static [Column; 64] = &Self::PADDED;
        padded.split_at(M::COLUMNS.len() + 1).0
    };
}

/// One opened generation.
#[derive(Debug)]
struct Generation {
    number: u64,
    directory: PathBuf,
    engine: Arc<dyn Engine>,
}

/// A directory that goes once nobody uses it any more.
#[derive(Debug)]
enum Retired {
    State(PathBuf, Weak<dyn Engine>),
    Snapshot(PathBuf, Weak<StoredSnapshot>),
}

impl Retired {
    fn in_use(&self) -> bool {
        match self {
            Self::State(_, engine) => engine.strong_count() > 0,
            Self::Snapshot(_, snapshot) => snapshot.strong_count() > 0,
        }
    }

    fn directory(&self) -> &Path {
        match self {
            Self::State(directory, _) | Self::Snapshot(directory, _) => directory,
        }
    }

    /// What a crash leaves of either is removed at the next start: a state by its number, a snapshot by its name.
    fn remove(&self, files: &dyn Files) -> io::Result<()> {
        match self {
            Self::State(directory, _) => files.remove_directory_all(directory),
            Self::Snapshot(directory, _) => snapshot::remove(files, directory),
        }
    }
}

/// One entry to apply, without openraft's wrapping.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) log_id: LogIdRecord,
    pub(super) payload: Payload,
    /// Whether somebody waits for the response.
    pub(super) answer: bool,
}

/// The state of one group.
#[derive(Debug)]
pub(super) struct StateStore<M> {
    group: GroupId,
    observer: Option<Observer>,
    directory: PathBuf,
    files: Arc<dyn Files>,
    engines: Arc<dyn Engines>,
    current: ArcSwap<Generation>,
    /// Held while effects are written, a checkpoint is taken or a generation is replaced: each sees a whole state.
    applied: Mutex<AppliedRecord>,
    applied_index: watch::Sender<u64>,
    snapshot: Mutex<Option<Arc<StoredSnapshot>>>,
    retired: Mutex<Vec<Retired>>,
    /// Source of numbers for snapshots and incoming directories.
    next_number: AtomicU64,
    unflushed_bytes: AtomicU64,
    since_snapshot_bytes: AtomicU64,
    /// Whether the state is of a lineage that was left.
    outdated: AtomicBool,
    machine: PhantomData<fn() -> M>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M: Machine> StateStore<M> {
    /// Opens the newest generation, or the first. What a crash left half-made is removed.
    pub(super) fn open(options: &GroupOptions, resources: &GroupResources) -> Result<Self, GroupError> {
        let (files, directory) = (&resources.files, &options.directory);
        let failed = |doing| move |source| GroupError::File { doing, path: options.directory.clone(), source };
        files.create_directory_all(directory).map_err(failed("create the directory of a group"))?;
        let entries = files.list(directory).map_err(failed("list the directory of a group"))?;
        for entry in &entries {
            if entry.name.ends_with(TEMPORARY) || entry.name.starts_with(INCOMING_PREFIX) {
                files.remove_directory_all(&directory.join(&entry.name)).map_err(failed("remove what a crash left"))?;
            }
        }
        let snapshot = snapshot::find_newest(files.as_ref(), resources.engines.as_ref(), directory, &entries)
            .map_err(failed("look for snapshots"))?;
        let numbers: Vec<u64> =
            entries.iter().filter_map(|entry| snapshot::number_of(&entry.name, STATE_PREFIX)).collect();
        let newest = numbers.iter().copied().max().unwrap_or(1);
        for older in numbers.into_iter().filter(|number| *number < newest) {
            let older = directory.join(format!("{STATE_PREFIX}{older}"));
            files.remove_directory_all(&older).map_err(failed("remove an old state"))?;
        }
        let generation = Self::open_generation(resources.engines.as_ref(), directory, newest)?;
        files.sync_directory(directory).map_err(failed("sync the directory of a group"))?;
        let applied = Self::read_applied(options.id, generation.engine.as_ref())?;
        let outdated = AtomicBool::new(outdated::is_outdated(generation.engine.as_ref())?);
        let next_number = snapshot::highest_number(&entries) + 1;
        let applied_index = watch::Sender::new(applied.last_applied.map_or(0, |id| id.index));
        let observer = resources.observer(options);
        if let Some(Observer { witness, replica }) = &observer {
            witness.restored(*replica, applied.last_applied.map(Into::into), Restoration::Opened);
        }
        Ok(Self {
            group: options.id,
            observer,
            directory: directory.clone(),
            files: Arc::clone(files),
            engines: Arc::clone(&resources.engines),
            current: ArcSwap::from_pointee(generation),
            applied: Mutex::new(applied),
            applied_index,
            snapshot: Mutex::new(snapshot.map(Arc::new)),
            retired: Mutex::default(),
            next_number: AtomicU64::new(next_number),
            unflushed_bytes: AtomicU64::new(0),
            since_snapshot_bytes: AtomicU64::new(0),
            outdated,
            machine: PhantomData,
        })
    }

    fn open_generation(engines: &dyn Engines, parent: &Path, number: u64) -> Result<Generation, GroupError> {
        let directory = parent.join(format!("{STATE_PREFIX}{number}"));
        let engine = Self::open_engine(engines, &directory)?;
        Ok(Generation { number, directory, engine })
    }

    fn open_engine(engines: &dyn Engines, directory: &Path) -> Result<Arc<dyn Engine>, GroupError> {
        Ok(engines.open(directory, &EngineOptions { columns: Columns::<M>::ALL, journal: false })?)
    }

    fn read_applied(group: GroupId, engine: &dyn Engine) -> Result<AppliedRecord, GroupError> {
        let bytes = engine.get(GROUP, APPLIED)?;
        let record = bytes.map(|bytes| codec::decode::<AppliedRecord>(&bytes)).transpose();
        Ok(record.map_err(|source| GroupError::Record { group, source })?.unwrap_or_default())
    }

    /// The current engine. It stays usable while it is held, also when the state is replaced meanwhile.
    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.current.load().engine)
    }

    /// What has been applied.
    pub(super) fn applied(&self) -> AppliedRecord {
        lock(&self.applied).clone()
    }

    /// Follows the index of the last applied entry.
    pub(super) fn applied_index(&self) -> watch::Receiver<u64> {
        self.applied_index.subscribe()
    }

    /// Applies consecutive entries. Their effects are written before this returns, in one batch unless they are very
    /// large. Returns the encoded responses of those that are waited for.
    pub(super) fn apply(&self, items: Vec<Item>) -> io::Result<Vec<Option<Bytes>>> {
        let mut applied = lock(&self.applied);
        self.expect_present()?;
        let engine = self.engine();
        let mut position = applied.clone();
        let mut responses = Vec::with_capacity(items.len());
        let mut transaction = Transaction::new(engine.as_ref());
        for Item { log_id, payload, answer } in items {
            if let Some(Observer { witness, replica }) = &self.observer {
                witness.applied(*replica, log_id.into(), &|| digest::of_entry(log_id, &payload));
            }
            let response = match payload {
                Payload::Blank => Bytes::new(),
                Payload::Normal(Proposal { stamp, command }) => {
                    let command = codec::decode::<M::Command>(&command).map_err(io::Error::other)?;
                    let response = M::apply(&mut transaction, command, stamp).map_err(io::Error::other)?;
                    if answer { Bytes::from(codec::encode(&response)) } else { Bytes::new() }
                }
                Payload::Membership(membership) => {
                    position.membership =
                        StoredMembershipRecord { log_id: Some(log_id), membership: (&membership).into() };
                    Bytes::new()
                }
            };
            position.last_applied = Some(log_id);
            responses.push(answer.then_some(response));
            if transaction.size_bytes() >= TRANSACTION_BYTES || switch::rare("raft.state.split_batch") {
                self.write(engine.as_ref(), transaction, &position)?;
                applied.clone_from(&position);
                transaction = Transaction::new(engine.as_ref());
            }
        }
        self.write(engine.as_ref(), transaction, &position)?;
        applied.clone_from(&position);
        drop(applied);
        self.publish_applied(&position);
        Ok(responses)
    }

    fn write(&self, engine: &dyn Engine, mut transaction: Transaction<'_>, position: &AppliedRecord) -> io::Result<()> {
        transaction.put(GROUP, APPLIED, codec::encode(position));
        let bytes = transaction.size_bytes() as u64;
        engine.write(transaction.into_batch()).map_err(io::Error::other)?;
        self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.since_snapshot_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn publish_applied(&self, position: &AppliedRecord) {
        let index = position.last_applied.map_or(0, |id| id.index);
        self.applied_index.send_if_modified(|present| {
            let newer = *present < index;
            *present = index.max(*present);
            newer
        });
    }

    /// Hash of all columns, the group's own included, and what has been applied to them. Entries wait meanwhile.
    pub(super) fn digest(&self) -> Result<StateDigest, EngineError> {
        let applied = lock(&self.applied);
        let (rows, hash) = digest::of_state(self.engine().as_ref(), Columns::<M>::ALL)?;
        Ok(StateDigest { applied: applied.last_applied.map(Into::into), rows, hash })
    }

    /// Bytes of effects that a loss of power would undo; the log brings them back.
    pub(super) fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of effects since the last snapshot.
    pub(super) fn since_snapshot_bytes(&self) -> u64 {
        self.since_snapshot_bytes.load(Ordering::Relaxed)
    }

    /// Makes everything applied so far durable.
    pub(super) fn flush(&self) -> io::Result<()> {
        let bytes = self.unflushed_bytes.load(Ordering::Relaxed);
        let applied = self.observer.as_ref().and_then(|_| lock(&self.applied).last_applied);
        self.engine().sync().map_err(io::Error::other)?;
        if let (Some(Observer { witness, replica }), Some(applied)) = (&self.observer, applied) {
            witness.flushed(*replica, applied.into());
        }
        let rest = |present: u64| Some(present.saturating_sub(bytes));
        // The closure never refuses, so there is nothing to learn from the result.
        let _ = self.unflushed_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        Ok(())
    }

    /// Takes a snapshot of the present state. Entries are applied meanwhile, except for the short time in which the
    /// files are linked: the long part, writing memory out, is done before.
    pub(super) fn take_snapshot(&self) -> io::Result<Arc<StoredSnapshot>> {
        self.flush()?;
        let draft = Draft::begin(self.files.as_ref(), &self.directory, self.number())?;
        let contents = {
            let applied = lock(&self.applied);
            draft.checkpoint(self.engine().as_ref())?;
            self.since_snapshot_bytes.store(0, Ordering::Relaxed);
            applied.clone()
        };
        // The log is purged up to here next, so the state itself must be durable as far, not only its copy.
        self.flush()?;
        let stored = Arc::new(draft.finish(self.files.as_ref(), self.engines.as_ref(), contents)?);
        info!(group = %self.group, directory = ?stored.directory, "snapshot taken");
        self.keep_snapshot(&stored);
        Ok(stored)
    }

    /// Takes a snapshot if the log does not reach from the newest one to the present state: it holds what is after
    /// `purged`, up to `last`. What others had committed is applied, and may be durable, before this replica's own log is: a
    /// crash can leave the state ahead of the log. openraft purges the log up to the state then, and whoever leads has to
    /// have a snapshot as far as his log is purged.
    pub(super) fn bridge(&self, purged: Option<u64>, last: Option<u64>) -> io::Result<()> {
        let applied = lock(&self.applied).last_applied.map(|id| id.index);
        let snapshot = self.snapshot().and_then(|snapshot| snapshot.contents.last_applied.map(|id| id.index));
        let begin = if applied > last { applied } else { purged };
        if snapshot < begin { self.take_snapshot().map(drop) } else { Ok(()) }
    }

    /// Writes the state and its snapshot anew under the current key.
    pub(super) fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        self.engine().rewrite(goes_on)?;
        match self.snapshot() {
            // It is not removed while it is held.
            Some(snapshot) => self.engines.rewrite_checkpoint(&snapshot.directory, goes_on),
            None => Ok(()),
        }
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Option<Arc<StoredSnapshot>> {
        lock(&self.snapshot).clone()
    }

    fn keep_snapshot(&self, stored: &Arc<StoredSnapshot>) {
        let mut newest = lock(&self.snapshot);
        let index = |snapshot: &StoredSnapshot| snapshot.contents.last_applied.map(|id| id.index);
        let older = match newest.as_ref() {
            Some(present) if index(present) > index(stored) => Some(Arc::clone(stored)),
            _ => newest.replace(Arc::clone(stored)),
        };
        if let Some(older) = older {
            lock(&self.retired).push(Retired::Snapshot(older.directory.clone(), Arc::downgrade(&older)));
        }
    }

    fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// A new empty directory for a snapshot that comes in.
    pub(super) fn incoming(&self) -> io::Result<PathBuf> {
        let directory = self.directory.join(format!("{INCOMING_PREFIX}{}", self.number()));
        self.files.remove_directory_all(&directory)?;
        self.files.create_directory_all(&directory)?;
        Ok(directory)
    }

    /// Removes an incoming directory that was not installed; an installed one is gone already.
    pub(super) fn discard_incoming(&self, directory: &Path) {
        if let Err(error) = self.files.remove_directory_all(directory) {
            warn!(group = %self.group, ?directory, %error, "cannot remove a snapshot that was not installed");
        }
    }

    /// Makes a snapshot the current state: a new generation, from which the snapshot to keep is taken at once.
    pub(super) fn install(&self, contents: &AppliedRecord, data: &SnapshotData) -> io::Result<()> {
        if switch::broken("raft.snapshot.keep_old_state") {
            lock(&self.applied).clone_from(contents);
            self.publish_applied(contents);
            return Ok(());
        }
        let incoming = match data {
            SnapshotData::Received(directory) => directory.clone(),
            SnapshotData::Stored(stored) => self.copy(&stored.state())?,
        };
        if let Err(error) = self.expect_contents(&incoming, contents) {
            self.discard_incoming(&incoming);
            return Err(error);
        }
        let generation = {
            let mut applied = lock(&self.applied);
            let number = self.current.load().number + 1;
            let directory = self.directory.join(format!("{STATE_PREFIX}{number}"));
            self.files.rename(&incoming, &directory)?;
            self.files.sync_directory(&self.directory)?;
            let generation =
                Self::open_generation(self.engines.as_ref(), &self.directory, number).map_err(io::Error::other)?;
            *applied = Self::read_applied(self.group, generation.engine.as_ref()).map_err(io::Error::other)?;
            if let Some(Observer { witness, replica }) = &self.observer {
                witness.restored(*replica, applied.last_applied.map(Into::into), Restoration::Installed);
            }
            self.unflushed_bytes.store(0, Ordering::Relaxed);
            self.outdated.store(false, Ordering::SeqCst);
            self.current.swap(Arc::new(generation))
        };
        lock(&self.retired).push(Retired::State(generation.directory.clone(), Arc::downgrade(&generation.engine)));
        drop(generation);
        self.publish_applied(contents);
        info!(group = %self.group, index = ?contents.last_applied.map(|id| id.index), "snapshot installed");
        self.take_snapshot()?;
        self.remove_retired();
        Ok(())
    }

    /// Refuses a state that is not what its snapshot says, before it has the name of one: the highest is opened at the
    /// next start, whatever is in it.
    fn expect_contents(&self, directory: &Path, contents: &AppliedRecord) -> io::Result<()> {
        let engine = Self::open_engine(self.engines.as_ref(), directory).map_err(io::Error::other)?;
        let found = Self::read_applied(self.group, engine.as_ref()).map_err(io::Error::other)?.last_applied;
        if found == contents.last_applied {
            return Ok(());
        }
        let text = format!("the snapshot contains {found:?}, not {:?}", contents.last_applied);
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// Copies the files of a checkpoint into a new incoming directory, synced.
    fn copy(&self, source: &Path) -> io::Result<PathBuf> {
        const CHUNK: usize = 1 << 20;
        let target = self.incoming()?;
        let mut buffer = vec![0; CHUNK];
        for entry in self.files.list(source)? {
            let from = self.files.open(&source.join(&entry.name))?;
            let to = self.files.create(&target.join(&entry.name))?;
            let mut offset = 0;
            loop {
                let read = from.read_at(&mut buffer, offset)?;
                if read == 0 {
                    break;
                }
                to.write_all_at(&buffer[..read], offset)?;
                offset += read as u64;
            }
            to.sync()?;
        }
        self.files.sync_directory(&target)?;
        Ok(target)
    }

    /// Removes old generations and snapshots that nobody uses any more.
    pub(super) fn remove_retired(&self) {
        lock(&self.retired).retain(|retired| {
            if retired.in_use() {
                return true;
            }
            match retired.remove(self.files.as_ref()) {
                Ok(()) => false,
                Err(error) => {
                    warn!(group = %self.group, directory = ?retired.directory(), %error, "cannot remove old state");
                    true
                }
            }
        });
    }
}
