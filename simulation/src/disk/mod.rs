//! A simulated disk: files in memory that forget what was not synced when power is lost, that fail and dawdle when they
//! are told to, and whose bytes rot.
//!
//! `tree` holds the names and `content` the bytes, each with what a power loss may leave of them; `faults` what
//! operations meet, `latency` how long they take, `damage` what happens behind the back of the process, `condition` what
//! a judge sees of all that. Everything that chance decides follows from the disk's own seed.

mod condition;
mod content;
mod damage;
mod faults;
mod files;
mod latency;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::faults::Faults;
use self::tree::{SharedContent, Tree};
use crate::seed::Seed;

pub use condition::Condition;
pub(crate) use faults::{Access, is_full};
pub use faults::{DiskFaults, FaultCounts};
pub use latency::take_io_time;

/// A disk of one simulated computer. Clones are the same one; it survives the process that uses it.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    locks: BTreeMap<PathBuf, u64>,
    /// Files that were lost behind the back of the process, and when it last missed them.
    lost: BTreeMap<PathBuf, Option<Duration>>,
    /// Counts process lives: what an earlier one holds is dead.
    life: u64,
    capacity_bytes: u64,
    used_bytes: u64,
    faults: Faults,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn begin_life(&mut self) {
        self.life += 1;
        self.locks.clear();
    }

    /// The file lost its name: its bytes are free.
    fn unlink(&mut self, content: &SharedContent) {
        let mut content = hold(content);
        content.unlink();
        self.used_bytes = self.used_bytes.saturating_sub(content.length() as u64);
    }
}

impl SimulatedDisk {
    /// An empty disk that is well. What chance decides on it follows from the seed.
    #[must_use]
    pub fn new(capacity_bytes: u64, seed: Seed) -> Self {
        let state = State {
            tree: Tree::new(),
            locks: BTreeMap::new(),
            lost: BTreeMap::new(),
            life: 0,
            capacity_bytes,
            used_bytes: 0,
            faults: Faults::new(seed.stream("disk")),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The process dies, the computer stays up: everything written remains, locks fall, open files are dead.
    pub fn process_crash(&self) {
        hold(&self.state).begin_life();
    }

    /// Power is lost. What was synced stays, of everything else a random part: single pages of files, single entries of
    /// directories; sometimes nothing, sometimes all. Locks fall, open files are dead.
    pub fn power_loss(&self) {
        let mut state = hold(&self.state);
        state.begin_life();
        let State { tree, faults, .. } = &mut *state;
        tree.power_loss(faults.random());
        state.used_bytes = state.tree.files().iter().map(|(_, content)| hold(content).length() as u64).sum();
    }

    /// Another disk takes its place: empty, and well.
    pub fn wipe(&self) {
        let mut state = hold(&self.state);
        state.begin_life();
        state.tree = Tree::new();
        state.lost.clear();
        state.used_bytes = 0;
        state.faults.heal();
    }

    /// Sets what is wrong with the disk from now on. A disk that hangs goes on hanging.
    pub fn set_faults(&self, faults: DiskFaults) {
        hold(&self.state).faults.set(faults);
    }

    /// The disk answers nothing for this long, in virtual time: every operation takes until then and succeeds. Must be
    /// called from within the simulation.
    pub fn hang_for(&self, time: Duration) {
        hold(&self.state).faults.hang_for(time);
    }

    /// Nothing is wrong with the disk any more. Operations that hang already wait out their time; what failed syncs
    /// have lost is lost, and damage stays.
    pub fn heal(&self) {
        hold(&self.state).faults.heal();
    }

    /// How often faults were met since the disk was made.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        hold(&self.state).faults.counts()
    }

    /// Virtual time at which an operation last ended with an error.
    #[must_use]
    pub fn failed_at(&self) -> Option<Duration> {
        hold(&self.state).faults.failed_at()
    }

    /// Paths of all files below a directory, in order.
    #[must_use]
    pub fn files_below(&self, directory: &Path) -> Vec<PathBuf> {
        let files = hold(&self.state).tree.files();
        files.into_iter().map(|(path, _)| path).filter(|path| path.starts_with(directory)).collect()
    }

    /// Paths of the files in which these bytes are. Looking changes nothing and meets no fault.
    #[must_use]
    pub fn files_with(&self, bytes: &[u8]) -> Vec<PathBuf> {
        let files = hold(&self.state).tree.files();
        let has = |content: &SharedContent| {
            let content = hold(content);
            memchr::memmem::find(content.slice(0..content.length()), bytes).is_some()
        };
        files.into_iter().filter(|(_, content)| has(content)).map(|(path, _)| path).collect()
    }

    /// An operation beside the files, on this many bytes, meets the faults of the disk.
    pub(crate) fn meet(&self, access: Access, bytes: u64) -> io::Result<()> {
        hold(&self.state).faults.meet(access, bytes)
    }

    /// Whether something happens that does so in this share of cases, as the disk's own chance decides.
    pub(crate) fn chance(&self, percent: u8) -> bool {
        use rand::Rng as _;
        hold(&self.state).faults.random().random_range(0..100) < percent
    }
}

#[cfg(test)]
mod tests {
    use storage::disk::Files;

    use super::*;

    fn disk(seed: u64) -> SimulatedDisk {
        let disk = SimulatedDisk::new(1 << 20, Seed(seed));
        disk.create_directory_all(Path::new("/data")).unwrap();
        disk.sync_directory(Path::new("/")).unwrap();
        disk
    }

    #[test]
    fn unsynced_content_is_there_or_not() {
        let mut seen = Vec::new();
        for seed in 0..40 {
            let disk = disk(seed);
            let path = Path::new("/data/a");
            let file = disk.create(path).unwrap();
            file.write_all_at(b"one", 0).unwrap();
            file.sync().unwrap();
            disk.sync_directory(Path::new("/data")).unwrap();
            file.write_all_at(b"two", 0).unwrap();
            disk.power_loss();
            seen.push(disk.read(path).unwrap());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen, [b"one", b"two"]);
    }

    #[test]
    fn the_same_seed_loses_the_same() {
        let torn = |seed| {
            let disk = disk(seed);
            for name in 0..20 {
                disk.create(Path::new(&format!("/data/{name}"))).unwrap().write_all_at(&[1; 9000], 0).unwrap();
            }
            disk.power_loss();
            let files = disk.files_below(Path::new("/"));
            files.into_iter().map(|path| (disk.read(&path).unwrap(), path)).collect::<Vec<_>>()
        };
        assert!((0..10).all(|seed| torn(seed) == torn(seed)));
        assert!((1..10).any(|seed| torn(seed) != torn(0)));
    }

    #[test]
    fn a_process_crash_keeps_what_was_written_and_ends_its_handles() {
        let disk = disk(1);
        let path = Path::new("/data/a");
        let file = disk.create(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        disk.process_crash();
        assert!(file.write_all_at(b"two", 0).is_err());
        assert_eq!(disk.read(path).unwrap(), b"one");
    }

    #[test]
    fn replace_is_atomic_under_power_loss() {
        for seed in 0..40 {
            let disk = disk(seed);
            let path = Path::new("/data/a");
            disk.replace(path, b"old").unwrap();
            disk.replace(path, b"new").unwrap();
            disk.power_loss();
            assert_eq!(disk.read(path).unwrap(), b"new");
            assert_eq!(disk.list(Path::new("/data")).unwrap().len(), 1);
        }
    }

    #[test]
    fn space_is_counted() {
        let disk = SimulatedDisk::new(4, Seed(1));
        let used = || 4 - disk.space(Path::new("/")).unwrap().available_bytes;
        let file = disk.create(Path::new("/a")).unwrap();
        assert_eq!(file.write_all_at(b"12345", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(used(), 0);
        file.write_all_at(b"1234", 0).unwrap();
        assert_eq!(used(), 4);
        disk.create(Path::new("/b")).unwrap();
        disk.rename(Path::new("/b"), Path::new("/a")).unwrap();
        assert_eq!(used(), 0, "the file that was replaced is counted no more");
        file.write_all_at(b"1234", 4).unwrap();
        assert_eq!(used(), 0, "a file without a name is not counted");
        disk.open(Path::new("/a")).unwrap().write_all_at(b"12", 0).unwrap();
        disk.wipe();
        assert_eq!(used(), 0);
        assert!(disk.list(Path::new("/")).unwrap().is_empty());
    }

    #[test]
    fn locks_fall_with_the_process() {
        let disk = disk(1);
        let lock = disk.lock(Path::new("/data")).unwrap();
        assert!(disk.lock(Path::new("/data")).is_err());
        disk.process_crash();
        let next = disk.lock(Path::new("/data")).unwrap();
        drop(lock);
        assert!(disk.lock(Path::new("/data")).is_err());
        drop(next);
        assert!(disk.lock(Path::new("/data")).is_ok());
    }

    #[test]
    fn errors_strike_in_their_share_and_are_counted() {
        let disk = disk(1);
        let file = disk.create(Path::new("/data/a")).unwrap();
        file.write_all_at(&[1; 100], 0).unwrap();
        let faults = DiskFaults {
            read_errors_percent: 50,
            write_errors_percent: 20,
            sync_errors_percent: 10,
            ..Default::default()
        };
        disk.set_faults(faults);
        let failures = |operation: &dyn Fn() -> io::Result<()>| {
            (0..1000).filter(|_| operation().is_err_and(|error| error.raw_os_error() == Some(5))).count() as u64
        };
        let reads = failures(&|| file.read_exact_at(&mut [0; 10], 0));
        let writes = failures(&|| file.write_all_at(&[2; 10], 0));
        let syncs = failures(&|| disk.sync_directory(Path::new("/data")));
        assert!((400..600).contains(&reads) && (140..260).contains(&writes) && (60..140).contains(&syncs));
        let counts = disk.fault_counts();
        assert_eq!((counts.read_errors, counts.write_errors, counts.sync_errors), (reads, writes, syncs));
        disk.heal();
        assert_eq!(failures(&|| file.read_exact_at(&mut [0; 10], 0)), 0);
        assert_eq!(disk.fault_counts(), counts);
    }

    #[test]
    fn a_disk_called_full_refuses_only_what_needs_space() {
        let disk = disk(1);
        let path = Path::new("/data/a");
        let file = disk.create(path).unwrap();
        disk.set_faults(DiskFaults { full: true, ..Default::default() });
        assert_eq!(file.write_all_at(b"1", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.create(Path::new("/data/b")).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.sync().unwrap();
        disk.rename(path, Path::new("/data/c")).unwrap();
        disk.remove(Path::new("/data/c")).unwrap();
        assert_eq!(disk.fault_counts().full, 2);
    }

    #[test]
    fn what_a_failed_sync_left_goes_with_the_power() {
        let disk = disk(1);
        let path = Path::new("/data/a");
        disk.replace(path, b"old").unwrap();
        let file = disk.open(path).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        disk.set_faults(DiskFaults { sync_errors_percent: 100, ..Default::default() });
        assert!(file.sync().is_err());
        disk.heal();
        file.sync().unwrap();
        assert_eq!(disk.read(path).unwrap(), b"new");
        disk.power_loss();
        assert_eq!(disk.read(path).unwrap(), b"old");
    }

    #[test]
    fn a_slow_disk_takes_time_by_operation_and_by_size() {
        let disk = disk(1);
        let file = disk.create(Path::new("/data/a")).unwrap();
        assert_eq!(take_io_time(), Duration::ZERO);
        disk.set_faults(DiskFaults {
            latency_per_operation: Duration::from_millis(10),
            latency_per_mebibyte: Duration::from_millis(64),
            ..Default::default()
        });
        file.write_all_at(&vec![0; 1 << 16], 0).unwrap();
        file.sync().unwrap();
        assert_eq!(take_io_time(), Duration::from_millis(10 + 4 + 10));
        assert_eq!(disk.fault_counts().slow, 2);
    }

    /// How long the operations of one run of `Exec` take on a disk that hangs, begun at `after`.
    fn hung_time(hang: Duration, after: Duration) -> Duration {
        let elapsed = Arc::new(Mutex::new(Duration::ZERO));
        let result = Arc::clone(&elapsed);
        let mut simulation = turmoil::Builder::new().build();
        simulation.client("client", async move {
            let disk = disk(1);
            disk.hang_for(hang);
            tokio::time::sleep(after).await;
            let begun = turmoil::sim_elapsed().unwrap();
            let exec = storage::exec::Exec::delayed(take_io_time);
            exec.run(move || {
                let file = disk.create(Path::new("/data/a")).unwrap();
                file.write_all_at(b"one", 0).unwrap();
                file.sync().unwrap();
            })
            .await;
            *hold(&result) = turmoil::sim_elapsed().unwrap().saturating_sub(begun);
            Ok(())
        });
        simulation.run().unwrap();
        *hold(&elapsed)
    }

    #[test]
    fn operations_of_a_hung_disk_take_until_it_answers() {
        let second = Duration::from_secs(1);
        let took = hung_time(second * 3, second);
        assert!((second * 2..second * 2 + Duration::from_millis(5)).contains(&took), "{took:?}");
        assert_eq!(hung_time(second, second * 2), Duration::ZERO);
    }
}
