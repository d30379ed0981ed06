//! Brings what the node keeps under its newest data key, or into the clear if that is wanted: after encryption was turned
//! on or off, and after the key was rotated. When nothing lies under an older key any more, that key is forgotten.
//!
//! What holds: a key is forgotten only after everything was seen that could lie under it, absent disks included, and only
//! if this look began a while after it was current last, so that whoever has begun a file with it has its name on the
//! disk. Each file is replaced as a whole; after a crash the files themselves tell how far it has come. While nothing is
//! to be done nothing is looked at: the keyring remembers it.

mod content;
mod databases;
mod metrics;
mod own;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use storage::exec::Exec;
use storage::shard::DiskId;
use storage::switch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

pub use content::BytesByKey;
pub use metrics::Metrics;
pub(crate) use own::{OwnContent, Parts};
pub use walk::{Count, Counts};

use self::content::{Content, Trouble};
use self::databases::Effort;
use self::walk::{Left, Walk, walk};
use crate::vault::{Vault, Wanted};

/// Time between two looks whether something is to be done.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Files that were begun under a key before another one was current are to be seen on the disk after this.
const GRACE: Duration = Duration::from_secs(5);
/// First pause before what could not be rewritten is tried again; it doubles.
const RETRY_MIN: Duration = Duration::from_secs(2);
/// Longest pause.
const RETRY_MAX: Duration = Duration::from_mins(1);
/// What waits for so long without a break is told to the operator.
const STUCK: Duration = Duration::from_mins(10);

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything is as it is wanted.
    Settled,
    /// Files are looked at and rewritten.
    Working,
    /// Something cannot be rewritten now; it is tried again.
    Waiting(String),
}

/// The rewriting of one node. Cheap to clone; it ends with the last clone.
#[derive(Clone, Debug)]
pub struct Reseal {
    shared: Arc<Shared>,
    task: Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
}

#[derive(Debug)]
struct Shared {
    vault: Vault,
    content: Arc<dyn Content>,
    exec: Exec,
    bytes_per_second: u64,
    metrics: Metrics,
    walks: Mutex<BTreeMap<DiskId, Walk>>,
    waiting: Mutex<Option<Waiting>>,
}

/// Something cannot be rewritten.
#[derive(Clone, Debug)]
struct Waiting {
    /// What was wanted then.
    wanted: Wanted,
    hindrance: Hindrance,
    /// Since when nothing else was the case.
    since: Instant,
}

/// Why not everything is rewritten.
#[derive(Clone, Debug)]
struct Hindrance {
    text: String,
    /// Whether it goes by itself, as uploads do.
    passes: bool,
}

impl Shared {
    /// Looks at the walk of a disk, a fresh one if it was for something else.
    fn with<T>(&self, disk: DiskId, wanted: Wanted, look: impl FnOnce(&mut Walk) -> T) -> T {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = walks.entry(disk).or_insert_with(|| Walk::new(wanted));
        if walk.wanted != wanted {
            *walk = Walk::new(wanted);
        }
        look(walk)
    }

    fn wait_for(&self, wanted: Wanted, what: Option<Hindrance>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let since = waiting.as_ref().filter(|before| !before.hindrance.passes).map(|before| before.since);
        *waiting = what.map(|hindrance| Waiting { wanted, hindrance, since: since.unwrap_or_else(Instant::now) });
    }

    /// What is waited for; nothing if something else is wanted since.
    fn waiting(&self) -> Option<Waiting> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.clone().filter(|waiting| self.vault.wanted() == Some(waiting.wanted))
    }
}

impl Reseal {
    /// Begins to look at what there is to do.
    pub(crate) fn start(vault: Vault, content: OwnContent, bytes_per_second: u64, metrics: Metrics) -> Self {
        let exec = content.exec();
        Self::over(vault, Arc::new(content), exec, bytes_per_second, metrics)
    }

    /// Ends it, and waits until it has ended. What is being rewritten then is broken off; whoever closes the databases
    /// waits for that.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let task: JoinHandle<()> = task.detach();
            task.abort();
            // Cancelled, which is what was asked for.
            let _cancelled = task.await;
        }
    }

    fn over(vault: Vault, content: Arc<dyn Content>, exec: Exec, bytes_per_second: u64, metrics: Metrics) -> Self {
        let (walks, waiting) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { vault, content, exec, bytes_per_second, metrics, walks, waiting });
        let task = AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&shared))));
        Self { shared, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// The keys.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        if self.shared.vault.is_settled() {
            return State::Settled;
        }
        self.shared.waiting().map_or(State::Working, |waiting| State::Waiting(waiting.hindrance.text))
    }

    /// What an operator has to see to: why something cannot be rewritten, if that has been so for a while and does not go
    /// by itself.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        let stuck = |waiting: &Waiting| !waiting.hindrance.passes && waiting.since.elapsed() >= STUCK;
        let stuck = self.shared.waiting().filter(stuck).filter(|_| !self.shared.vault.is_settled());
        stuck.map(|waiting| waiting.hindrance.text)
    }

    /// What the shard files lie under, as far as they were counted, and whether all were.
    #[must_use]
    pub fn shards(&self) -> (Counts, bool) {
        let Some(wanted) = self.shared.vault.wanted() else { return (total(&self.shared, None), true) };
        if self.shared.vault.is_settled() {
            return (total(&self.shared, wanted.under()), true);
        }
        let walks = self.shared.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let disks = self.shared.content.disks();
        let mut counts = Counts::new();
        let mut is_whole = self.shared.content.absent().is_empty();
        for disk in disks {
            let walk = walks.get(&disk).filter(|walk| walk.wanted == wanted);
            is_whole &= walk.is_some_and(|walk| walk.stale.is_some());
            for (under, count) in walk.iter().flat_map(|walk| &walk.counts) {
                let sum = counts.entry(*under).or_default();
                sum.files += count.files;
                sum.bytes += count.bytes;
            }
        }
        (counts, is_whole)
    }

    /// What the databases lie under.
    ///
    /// # Errors
    /// Why they cannot be looked at, for people.
    pub async fn databases(&self) -> Result<BytesByKey, String> {
        self.shared.content.databases().await
    }
}

/// Everything under one key, or in the clear, as the catalog counts it.
fn total(shared: &Shared, under: Option<storage::seal::KeyId>) -> Counts {
    let (files, bytes) = shared.content.totals();
    if files == 0 { Counts::new() } else { Counts::from([(under, Count { files, bytes })]) }
}

/// Brings everything to what is wanted, again and again.
async fn keep(shared: Arc<Shared>) {
    let mut since: Option<(Wanted, Instant)> = None;
    let mut progress = Progress::default();
    let mut pause = RETRY_MIN;
    loop {
        measure(&shared);
        let Some(wanted) = shared.vault.wanted().filter(|_| !shared.vault.is_settled()) else {
            sleep(LOOK_INTERVAL).await;
            continue;
        };
        let begun = match since {
            Some((before, begun)) if before == wanted => begun,
            _ => {
                (progress, pause) = (Progress::default(), RETRY_MIN);
                shared.wait_for(wanted, None);
                since.insert((wanted, Instant::now())).1
            }
        };
        if begun.elapsed() < GRACE {
            sleep(LOOK_INTERVAL).await;
            continue;
        }
        let trouble = if switch::broken("reseal.forget.unseen") {
            None
        } else {
            bring(&shared, wanted, &mut progress).await.err()
        };
        measure(&shared);
        if shared.vault.wanted() != Some(wanted) {
            continue;
        }
        match trouble {
            None => settle(&shared, wanted).await,
            Some(hindrance) => shared.wait_for(wanted, Some(hindrance)),
        }
        if !shared.vault.is_settled() {
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}

/// What is remembered from round to round, for one thing that is wanted.
#[derive(Debug, Default)]
struct Progress {
    databases: Effort,
    /// The disks' generation when the last round began.
    generation: Option<u64>,
}

/// Brings everything to what is wanted, each thing whatever becomes of the others. Whoever was not looked at, or came
/// while it looked, is for another round.
async fn bring(shared: &Shared, wanted: Wanted, progress: &mut Progress) -> Result<(), Hindrance> {
    let content = &shared.content;
    let generation = content.generation();
    if progress.generation.replace(generation).is_some_and(|before| before != generation) {
        // A disk that was away may have other files now: all are counted once more.
        shared.walks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    let disks = content.disks();
    let secrets = content.seal_secrets().await;
    let databases = progress.databases.rewrite(content.as_ref(), wanted.under()).await;
    let walks = join_all(disks.iter().map(|disk| walk(shared, *disk, wanted))).await;
    // A walk may take hours.
    let databases = match databases {
        Ok(()) => databases::check(content.as_ref(), wanted.under()).await,
        failed => failed,
    };
    let mut troubles: Vec<Trouble> = walks.into_iter().filter_map(Result::err).collect();
    let mut unplaced = 0;
    for disk in &disks {
        let Left { unplaced: of_disk, failed, why } = shared.with(*disk, wanted, |walk| walk.left.clone());
        unplaced += of_disk;
        if failed > 0 {
            troubles.push(format!("{failed} shard files of disk {disk} cannot be rewritten: {why}"));
        }
    }
    let is_done = disks.iter().all(|disk| shared.with(*disk, wanted, |walk| walk.is_done(wanted)));
    let uploads = !is_done && troubles.is_empty();
    if uploads {
        let text = "shard files cannot be rewritten yet: of uploads in progress, or of nothing that is known";
        troubles.push(format!("{unplaced} {text}"));
    }
    troubles.extend(secrets.err());
    troubles.extend(databases.err());
    // In this order: a disk that comes back between the two is among those that are there.
    if let Some(absent) = content.absent().first() {
        troubles.push(format!("a disk is not there, and may hold files under an older key: {absent}"));
    }
    if !troubles.is_empty() {
        return Err(Hindrance { passes: uploads && troubles.len() == 1, text: troubles.join("; ") });
    }
    let now = content.disks();
    if content.generation() != generation || now.iter().any(|disk| !disks.contains(disk)) {
        let text = "a disk has come or gone meanwhile: what is on the disks is looked at again".to_owned();
        return Err(Hindrance { text, passes: true });
    }
    Ok(())
}

async fn settle(shared: &Shared, wanted: Wanted) {
    let vault = shared.vault.clone();
    match shared.exec.run(move || vault.settle(wanted)).await {
        Ok(()) => {
            shared.wait_for(wanted, None);
            info!(key = ?wanted.under(), "everything that this node keeps is encrypted as it is configured");
        }
        Err(error) => {
            warn!(%error, "older data keys cannot be forgotten");
            shared.wait_for(wanted, Some(Hindrance { text: error.to_string(), passes: false }));
        }
    }
}

/// Tells the metrics what is left.
fn measure(shared: &Shared) {
    let keys = shared.vault.keys().len();
    let wanted = shared.vault.wanted().filter(|_| !shared.vault.is_settled());
    let older = wanted.map_or(0, |wanted| {
        let walks = shared.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = walks.values().filter(|walk| walk.wanted == wanted).flat_map(|walk| &walk.counts);
        of_it.filter(|(under, _)| **under != wanted.under()).map(|(_, count)| count.bytes).sum()
    });
    shared.metrics.set(older, keys);
}
