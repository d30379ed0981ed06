//! What is rewritten when, over files that are only told of.

use std::collections::BTreeSet;
use std::time::Duration;

use storage::disk::{Files, RealFiles};
use storage::kv::MemoryEngines;
use storage::seal::KeyId;
use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex, ShardName};
use tokio::time::timeout;

use super::content::{Failed, Found, OlderFile};
use super::*;
use crate::config::Settings;
use crate::environment::{BoxFuture, Environment, real};

const DISK: DiskId = DiskId([1; 16]);
const OTHER: DiskId = DiskId([2; 16]);

/// What a node keeps, as far as it matters here.
#[derive(Debug, Default)]
struct Kept {
    shards: BTreeMap<DiskId, Vec<Found>>,
    databases: BytesByKey,
    absent: Vec<String>,
    /// Names that the catalog does not know.
    strange: BTreeSet<u8>,
    /// Names that cannot be written.
    broken: BTreeSet<u8>,
    rewritten: u64,
    looked: u64,
    generation: u64,
    /// How often the databases were written.
    databases_written: u64,
    /// Bytes of a database's file that stays as it is.
    stuck: u64,
    /// Whether there is no room to write the databases anew.
    full: bool,
    /// A disk that comes after so many looks at pages, and what is on it.
    late: Option<(u64, Found)>,
}

#[derive(Debug)]
struct World {
    kept: Mutex<Kept>,
    vault: Vault,
    _directory: tempfile::TempDir,
}

fn name(number: u8) -> ShardName {
    ShardName { object: ObjectId([number; 16]), extent: ExtentIndex(0), attempt: Attempt(1), shard: ShardIndex(0) }
}

fn shard(number: u8, under: Option<KeyId>) -> Found {
    Found { name: name(number), bytes: 1000, under }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(value))
}

impl World {
    /// A vault that has just been made, over these shards and databases in the clear.
    async fn new(numbers: &[u8], content: bool) -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(RealFiles);
        let environment = Environment {
            exec: Exec::inline(),
            ..real(Arc::<RealFiles>::clone(&files), Arc::new(MemoryEngines::new(files)))
        };
        let mut settings = Settings { data_dir: directory.path().to_owned(), ..Settings::default() };
        settings.encryption.key_file = Some(directory.path().join("key"));
        settings.encryption.content = content;
        RealFiles.create_directory_all(&directory.path().join("identity")).unwrap();
        RealFiles.replace(&directory.path().join("key"), format!("01{}", "07".repeat(31)).as_bytes()).unwrap();
        let vault = Vault::open(&environment, &settings, false).await.unwrap();
        let kept = Kept {
            shards: BTreeMap::from([(DISK, numbers.iter().map(|number| shard(*number, None)).collect())]),
            databases: BytesByKey::from([(None, 5000)]),
            ..Kept::default()
        };
        Arc::new(Self { kept: Mutex::new(kept), vault, _directory: directory })
    }

    fn start(self: &Arc<Self>) -> Reseal {
        let content: Arc<dyn Content> = Arc::<Self>::clone(self);
        Reseal::over(self.vault.clone(), content, Exec::inline(), 0, Metrics::default())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().unwrap())
    }

    fn current(&self) -> Option<KeyId> {
        self.vault.wanted().and_then(Wanted::under)
    }

    /// Whether every byte is as it is wanted.
    fn is_whole(&self) -> bool {
        let wanted = self.current();
        self.with(|kept| {
            kept.shards.values().flatten().all(|found| found.under == wanted)
                && kept.databases.keys().all(|under| *under == wanted)
        })
    }
}

impl Content for World {
    fn seal_secrets(&self) -> BoxFuture<'_, Result<(), Trouble>> {
        ready(Ok(()))
    }

    fn rewrite_databases(&self, under: Option<KeyId>) -> BoxFuture<'_, Result<(), Failed>> {
        ready(self.with(|kept| {
            if kept.full {
                kept.databases_written += 1;
                return Err(Failed::NoRoom("3 MiB are missing".to_owned()));
            }
            kept.databases = BytesByKey::from([(under, 5000)]);
            kept.databases_written += 1;
            if kept.stuck > 0 { Err(Failed::Other("it cannot be read".to_owned())) } else { Ok(()) }
        }))
    }

    fn older_files(&self, under: Option<KeyId>) -> BoxFuture<'_, Result<Vec<OlderFile>, Trouble>> {
        let bytes = self.with(|kept| {
            let older = kept.databases.iter().filter(|(key, _)| **key != under).map(|(_, bytes)| bytes).sum::<u64>();
            older + kept.stuck
        });
        let file = OlderFile { path: "/data/log/000007.sst".into(), bytes };
        ready(Ok(if bytes > 0 { vec![file] } else { Vec::new() }))
    }

    fn databases(&self) -> BoxFuture<'_, Result<BytesByKey, Trouble>> {
        ready(Ok(self.with(|kept| kept.databases.clone())))
    }

    fn disks(&self) -> Vec<DiskId> {
        self.with(|kept| kept.shards.keys().copied().collect())
    }

    fn generation(&self) -> u64 {
        self.with(|kept| kept.generation)
    }

    fn absent(&self) -> Vec<String> {
        self.with(|kept| kept.absent.clone())
    }

    fn totals(&self) -> (u64, u64) {
        (9, 9000)
    }

    fn list(&self, disk: DiskId, page: u8) -> BoxFuture<'_, Result<Vec<Found>, Trouble>> {
        let found = self.with(|kept| {
            kept.looked += 1;
            if let Some((looks, found)) = kept.late
                && kept.looked >= looks
            {
                kept.late = None;
                kept.generation += 1;
                kept.absent.clear();
                kept.shards.insert(OTHER, vec![found]);
            }
            kept.shards[&disk].iter().filter(|found| found.name.object.0[0] == page).copied().collect()
        });
        ready(Ok(found))
    }

    fn is_placed(&self, _disk: DiskId, name: &ShardName) -> Result<bool, Trouble> {
        Ok(!self.with(|kept| kept.strange.contains(&name.object.0[0])))
    }

    fn reseal(&self, disk: DiskId, name: ShardName) -> BoxFuture<'_, Result<(), Trouble>> {
        let under = self.current();
        let result = self.with(|kept| {
            if kept.broken.contains(&name.object.0[0]) {
                return Err("it cannot be read".to_owned());
            }
            let shards = kept.shards.get_mut(&disk).unwrap();
            shards.iter_mut().find(|found| found.name == name).unwrap().under = under;
            kept.rewritten += 1;
            Ok(())
        });
        ready(result)
    }
}

async fn settled(reseal: &Reseal) {
    let wait = async {
        while reseal.state() != State::Settled {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(10), wait).await.expect("it comes to an end");
}

async fn waiting(reseal: &Reseal) -> String {
    let wait = async {
        loop {
            if let State::Waiting(what) = reseal.state() {
                return what;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(10), wait).await.expect("it says what it waits for")
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_clear_is_encrypted_and_then_nothing_is_looked_at() {
    let world = World::new(&[0, 7, 9, 255], true).await;
    let reseal = world.start();
    assert_eq!(reseal.state(), State::Working);
    settled(&reseal).await;
    assert!(world.is_whole());
    assert_eq!(world.with(|kept| kept.rewritten), 4);
    let looked = world.with(|kept| kept.looked);
    sleep(Duration::from_hours(1)).await;
    assert_eq!(world.with(|kept| kept.looked), looked);
    drop(reseal);
    let reseal = world.start();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(
        (reseal.state(), world.with(|kept| kept.looked)),
        (State::Settled, looked),
        "not after a restart either"
    );
    assert_eq!(reseal.shards().0, Counts::from([(world.current(), Count { files: 9, bytes: 9000 })]));
}

#[tokio::test(start_paused = true)]
async fn an_old_key_goes_when_nothing_lies_under_it() {
    let world = World::new(&[1, 2, 3], true).await;
    let reseal = world.start();
    settled(&reseal).await;
    let old = world.current();
    world.with(|kept| kept.strange = BTreeSet::from([2]));
    let new = world.vault.rotate().await.unwrap();
    assert!(waiting(&reseal).await.starts_with("1 shard files cannot be rewritten yet"));
    let one = |files| Count { files, bytes: files * 1000 };
    assert_eq!(reseal.shards(), (Counts::from([(old, one(1)), (Some(new), one(2))]), true));
    assert_eq!(world.vault.keys().len(), 2, "a file lies under it");
    // The upload is over.
    world.with(|kept| kept.strange.clear());
    settled(&reseal).await;
    assert!(world.is_whole());
    assert_eq!(world.vault.keys().iter().map(|key| key.id).collect::<Vec<_>>(), [new]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_begun_under_the_old_key_keeps_it() {
    let world = World::new(&[], true).await;
    let reseal = world.start();
    settled(&reseal).await;
    let old = world.current();
    world.vault.rotate().await.unwrap();
    // A writer that has taken the key, and shows its file a moment later.
    sleep(GRACE.mul_f64(0.8)).await;
    world.with(|kept| kept.shards.get_mut(&DISK).unwrap().push(shard(9, old)));
    settled(&reseal).await;
    assert!(world.is_whole(), "it was seen and rewritten before the key went");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_away_keeps_the_old_key() {
    let world = World::new(&[1], true).await;
    world.with(|kept| kept.absent.push("disk 02 at /srv/two".to_owned()));
    let reseal = world.start();
    assert!(waiting(&reseal).await.ends_with("disk 02 at /srv/two"));
    assert!(!reseal.shards().1, "not all is counted");
    world.with(|kept| {
        kept.absent.clear();
        kept.shards.insert(OTHER, vec![shard(5, None)]);
    });
    settled(&reseal).await;
    assert!(world.is_whole());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_comes_back_during_the_walk_is_looked_at() {
    let world = World::new(&[1], true).await;
    world.with(|kept| {
        kept.absent.push("disk 02 at /srv/two".to_owned());
        kept.late = Some((100, shard(5, None)));
    });
    let reseal = world.start();
    settled(&reseal).await;
    assert!(world.with(|kept| kept.shards.contains_key(&OTHER)));
    assert!(world.is_whole(), "nothing is settled before all that is there was walked");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_stays_as_it_is_has_nothing_rewritten_for_ever() {
    let world = World::new(&[1, 2], true).await;
    world.with(|kept| kept.stuck = 7);
    let reseal = world.start();
    let text = waiting(&reseal).await;
    assert!(text.contains("it cannot be read") || text.contains("/data/log/000007.sst"), "{text}");
    assert_eq!(world.with(|kept| kept.rewritten), 2, "the shards are rewritten all the same");
    sleep(Duration::from_hours(2)).await;
    let text = waiting(&reseal).await;
    assert!(text.contains("7 bytes") && text.contains("/data/log/000007.sst"), "{text}");
    let written = world.with(|kept| kept.databases_written);
    assert!((2..=4).contains(&written), "{written} times in two hours");
    world.with(|kept| kept.stuck = 0);
    settled(&reseal).await;
    assert!(world.is_whole());
}

#[tokio::test(start_paused = true)]
async fn room_for_the_databases_is_looked_for_again_and_again() {
    let world = World::new(&[1, 2], true).await;
    world.with(|kept| kept.full = true);
    let reseal = world.start();
    assert_eq!(waiting(&reseal).await, "3 MiB are missing");
    assert_eq!(world.with(|kept| kept.rewritten), 2, "the shards are rewritten all the same");
    assert_eq!(reseal.stuck(), None, "not at once");
    sleep(STUCK + RETRY_MAX).await;
    assert_eq!(reseal.stuck().as_deref(), Some("3 MiB are missing"));
    let before = world.with(|kept| kept.databases_written);
    sleep(Duration::from_hours(1)).await;
    assert!(world.with(|kept| kept.databases_written) >= before + 50, "each minute");
    world.with(|kept| kept.full = false);
    sleep(RETRY_MAX + LOOK_INTERVAL).await;
    assert_eq!((reseal.state(), reseal.stuck()), (State::Settled, None));
}

#[tokio::test(start_paused = true)]
async fn what_uploads_hold_up_is_no_trouble() {
    let world = World::new(&[1, 2], true).await;
    world.with(|kept| kept.strange = BTreeSet::from([2]));
    let reseal = world.start();
    sleep(STUCK * 3).await;
    assert!(matches!(reseal.state(), State::Waiting(_)));
    assert_eq!(reseal.stuck(), None);
    // From now on the time counts.
    world.with(|kept| kept.absent.push("disk 02 at /srv/two".to_owned()));
    sleep(STUCK).await;
    assert_eq!(reseal.stuck(), None);
    sleep(STUCK).await;
    let text = reseal.stuck().unwrap();
    assert!(text.contains("uploads") && text.contains("disk 02 at /srv/two"), "{text}");
    world.with(|kept| kept.absent.clear());
    sleep(RETRY_MAX * 2).await;
    assert_eq!(reseal.stuck(), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rewritten_is_tried_again() {
    let world = World::new(&[1, 2], true).await;
    world.with(|kept| kept.broken.insert(2));
    let reseal = world.start();
    let text = waiting(&reseal).await;
    assert_eq!(text, format!("1 shard files of disk {DISK} cannot be rewritten: it cannot be read"));
    assert_eq!(world.with(|kept| kept.rewritten), 1, "the others are rewritten all the same");
    sleep(STUCK + RETRY_MAX).await;
    assert_eq!(reseal.stuck(), Some(text));
    world.with(|kept| kept.broken.clear());
    settled(&reseal).await;
    assert!(world.is_whole());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_in_the_middle_begins_anew() {
    let world = World::new(&[1, 2, 3], true).await;
    let reseal = world.start();
    sleep(GRACE).await;
    let last = world.vault.rotate().await.unwrap();
    settled(&reseal).await;
    assert!(world.is_whole());
    assert_eq!(world.vault.keys().iter().map(|key| key.id).collect::<Vec<_>>(), [last]);
}

#[tokio::test(start_paused = true)]
async fn content_goes_back_into_the_clear() {
    let world = World::new(&[1, 2], false).await;
    let under = Some(world.vault.keys()[0].id);
    world.with(|kept| kept.shards.values_mut().flatten().for_each(|found| found.under = under));
    let reseal = world.start();
    settled(&reseal).await;
    assert_eq!(world.current(), None);
    assert!(world.is_whole());
    assert_eq!(world.vault.keys().len(), 1, "the secrets of the node stay encrypted");
}
