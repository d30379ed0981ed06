//! A simulated computer: what survives the process that runs on it. Disks, engines, clock.
//!
//! The system disk is mounted at `/data`: identity, log and groups, with everything that the engines keep. Data disks
//! are mounted at `/disks/0`, `/disks/1` and so on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use node::environment::{Commands, Entropy as _, Environment, no_commands};
use rand::Rng;
use rand::rngs::StdRng;
use storage::exec::Exec;
use storage::kv::MemoryEngines;
use storage::seal::{Keyring, Keys};

use crate::clock::SimulatedClock;
use crate::disk::{FaultCounts, SimulatedDisk, take_io_time};
use crate::engines::FaultyEngines;
use crate::entropy::SeededEntropy;
use crate::mounts::{Mount, Mounts};
use crate::network::SimulatedNetwork;
use crate::seed::Seed;
use crate::tpm::Tpm;

/// Where the system disk is mounted.
const SYSTEM: &str = "/data";
/// Where the data disks are mounted, each at its number.
const DATA: &str = "/disks";

/// How long after a failed operation its process may still complain of it. What it fails waits for others, a proposal for
/// eight seconds at most, and is then told.
pub const FAILURE_TOLD: Duration = Duration::from_secs(10);

/// One computer. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Computer {
    /// The system disk first.
    mounts: Arc<[Mount]>,
    files: Mounts,
    engines: MemoryEngines,
    keys: Keys,
    commands: Arc<dyn Commands>,
    network: SimulatedNetwork,
    clock: SimulatedClock,
    seed: Seed,
    /// Number of the present process.
    life: Arc<AtomicU64>,
    /// Whether a failure has stopped an engine of the present process.
    engine_stopped: Arc<AtomicBool>,
    /// Decides what a crash leaves of the engines.
    random: Arc<Mutex<StdRng>>,
}

impl Computer {
    /// A computer with empty disks, each of this capacity: a system disk and `disks` data disks. Everything that chance
    /// decides on it follows from the seed.
    #[must_use]
    pub fn new(seed: Seed, disks: usize, capacity_bytes: u64) -> Self {
        Self::with_commands(seed, disks, capacity_bytes, no_commands())
    }

    /// The same, with a chip that gives the key of the nodes' keyrings: a node that is to encrypt what it keeps asks it.
    #[must_use]
    pub fn with_tpm(seed: Seed, disks: usize, capacity_bytes: u64) -> Self {
        Self::with_commands(seed, disks, capacity_bytes, Arc::new(Tpm::new(seed)))
    }

    fn with_commands(seed: Seed, disks: usize, capacity_bytes: u64, commands: Arc<dyn Commands>) -> Self {
        let salts = SeededEntropy::new(seed.derive("salts").0);
        let keys = Keys::new(Keyring::clear(), move |bytes| salts.fill(bytes));
        let mount = |path: PathBuf| {
            let disk = SimulatedDisk::new(capacity_bytes, seed.derive(&format!("disk {}", path.display())));
            Mount::new(path, disk)
        };
        let data = (0..disks).map(|number| Path::new(DATA).join(number.to_string()));
        let mounts: Arc<[Mount]> = std::iter::once(PathBuf::from(SYSTEM)).chain(data).map(mount).collect();
        let life = Arc::new(AtomicU64::new(0));
        let files = Mounts::new(Arc::clone(&mounts), Arc::clone(&life));
        Self {
            mounts,
            engines: MemoryEngines::with_keys(Arc::new(files.clone()), keys.clone()),
            keys,
            commands,
            files,
            network: SimulatedNetwork::default(),
            clock: SimulatedClock::default(),
            seed,
            life,
            engine_stopped: Arc::default(),
            random: Arc::new(Mutex::new(seed.stream("engines"))),
        }
    }

    /// The environment of the next process on it, which draws random numbers of its own. A process that ran before is
    /// dead from now on, whatever it still holds.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.crash();
        // A process knows no key before it has opened its keyring.
        self.keys.swap(Keyring::clear());
        let process = self.life.load(Ordering::Relaxed);
        Environment {
            network: Arc::new(self.network.clone()),
            files: Arc::new(self.files.of_process()),
            engines: Arc::new(FaultyEngines::new(
                self.engines.clone(),
                self.system_disk().clone(),
                Arc::clone(&self.engine_stopped),
            )),
            keys: self.keys.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(self.seed.derive(&format!("process {process}")).0)),
            exec: Exec::delayed(take_io_time),
            commands: Arc::clone(&self.commands),
            witness: None,
        }
    }

    /// The disk of identity, log and groups.
    #[must_use]
    pub fn system_disk(&self) -> &SimulatedDisk {
        &self.mounts[0].disk
    }

    /// The disks of the shards, in the order of [`disk_paths`](Self::disk_paths).
    #[must_use]
    pub fn data_disks(&self) -> Vec<SimulatedDisk> {
        self.mounts[1..].iter().map(|mount| mount.disk.clone()).collect()
    }

    /// Where the data disks are mounted, for `storage.directories`.
    #[must_use]
    pub fn disk_paths(&self) -> Vec<PathBuf> {
        self.mounts[1..].iter().map(|mount| mount.path.clone()).collect()
    }

    /// Its network.
    #[must_use]
    pub const fn network(&self) -> &SimulatedNetwork {
        &self.network
    }

    /// Its wall clock.
    #[must_use]
    pub const fn clock(&self) -> &SimulatedClock {
        &self.clock
    }

    /// How often the faults of its disks were met.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.mounts.iter().map(|mount| mount.disk.fault_counts()).fold(FaultCounts::default(), |sum, next| sum + next)
    }

    /// Whether its disks explain that the process complains or ends at this moment of virtual time: one of them has
    /// failed or refused an operation within [`FAILURE_TOLD`], or has stopped an engine before, which stays stopped as
    /// long as the process lives.
    #[must_use]
    pub fn is_failed_by_a_disk(&self, now: Duration) -> bool {
        let lately = |at: Duration| now <= at + FAILURE_TOLD;
        self.engine_stopped.load(Ordering::Relaxed)
            || self.mounts.iter().filter_map(|mount| mount.disk.failed_at()).any(lately)
    }

    /// The process is dead, the computer stays up: files keep what was written to them. Of what was not synced the
    /// engines keep a random prefix: stricter than a real system for a journal, which the page cache would keep whole,
    /// and for the others what was flushed by chance.
    ///
    /// Call it before the process is taken apart, so that its destructors change nothing: a killed process has none.
    pub fn crash(&self) {
        self.tear_engines();
        for mount in self.mounts.iter() {
            mount.disk.process_crash();
        }
    }

    /// Takes the power away: what was not synced stays in part, as [`SimulatedDisk::power_loss`] says, and of the
    /// engines a random prefix. Call it before the process is taken apart, as for [`crash`](Self::crash).
    pub fn power_loss(&self) {
        self.tear_engines();
        for mount in self.mounts.iter() {
            mount.disk.power_loss();
        }
    }

    /// A new machine takes its place, with empty disks of the same size that are well. The clock stays as it is.
    pub fn wipe(&self) {
        self.life.fetch_add(1, Ordering::Relaxed);
        self.engines.forget(Path::new("/"));
        for mount in self.mounts.iter() {
            mount.wipe();
        }
    }

    /// Ends the present process and what it had open. Of each engine's unsynced batches a random prefix stays;
    /// sometimes none, sometimes all.
    fn tear_engines(&self) {
        self.life.fetch_add(1, Ordering::Relaxed);
        self.engine_stopped.store(false, Ordering::Relaxed);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.engines.power_loss_torn(&mut |unsynced| match random.random_range(0..4) {
            0 => 0,
            1 => unsynced,
            _ => random.random_range(0..=unsynced),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use storage::kv::{Batch, Column, Engine, EngineOptions, Scan};

    use super::*;
    use crate::disk::DiskFaults;

    const COLUMN: Column = Column("c");

    fn put(engine: &dyn Engine, key: u8) {
        let mut batch = Batch::default();
        batch.put(COLUMN, vec![key], vec![key]);
        engine.write(batch).unwrap();
    }

    /// Keys that an engine keeps, of five that were synced and five that were not.
    fn kept(seed: u64, journal: bool, end: impl Fn(&Computer)) -> usize {
        let computer = Computer::new(Seed(seed), 1, 1 << 20);
        let options = EngineOptions { columns: &[COLUMN], journal };
        let directory = Path::new("/data/engine");
        let environment = computer.environment();
        let engine = environment.engines.open(directory, &options).unwrap();
        (0..5).for_each(|key| put(engine.as_ref(), key));
        engine.sync().unwrap();
        (5..10).for_each(|key| put(engine.as_ref(), key));
        end(&computer);
        assert!(engine.sync().is_err(), "a dead process syncs nothing");
        let engine = computer.environment().engines.open(directory, &options).unwrap();
        let pairs = engine.scan(&Scan::prefix(COLUMN, b"", 100)).unwrap();
        assert!(pairs.iter().zip(0..).all(|((key, _), number)| key[..] == [number]), "what stays is a prefix");
        pairs.len()
    }

    #[test]
    fn engines_keep_what_was_synced_and_a_prefix_of_the_rest() {
        for journal in [false, true] {
            let crashed: BTreeSet<usize> = (0..60).map(|seed| kept(seed, journal, Computer::crash)).collect();
            let unpowered: BTreeSet<usize> = (0..60).map(|seed| kept(seed, journal, Computer::power_loss)).collect();
            assert_eq!(crashed, (5..=10).collect());
            assert_eq!(unpowered, (5..=10).collect());
        }
    }

    #[test]
    fn a_disk_explains_a_failure_for_a_while_and_a_stopped_engine_for_the_life_of_the_process() {
        let computer = Computer::new(Seed(1), 1, 1 << 20);
        let environment = computer.environment();
        let later = FAILURE_TOLD + Duration::from_millis(1);
        assert!(!computer.is_failed_by_a_disk(Duration::ZERO));
        computer.data_disks()[0].set_faults(DiskFaults { read_errors_percent: 100, ..DiskFaults::default() });
        assert!(!computer.is_failed_by_a_disk(Duration::ZERO), "nobody has met it");
        let _ = environment.files.read(Path::new("/disks/0/a"));
        assert!(computer.is_failed_by_a_disk(FAILURE_TOLD) && !computer.is_failed_by_a_disk(later));

        let options = EngineOptions { columns: &[COLUMN], journal: true };
        let engine = environment.engines.open(Path::new("/data/engine"), &options).unwrap();
        computer.system_disk().set_faults(DiskFaults { sync_errors_percent: 100, ..DiskFaults::default() });
        engine.sync().unwrap_err();
        assert!(computer.is_failed_by_a_disk(later));
        computer.crash();
        assert!(!computer.is_failed_by_a_disk(later));
    }

    #[test]
    fn the_files_of_a_dead_process_are_closed_to_it() {
        let computer = Computer::new(Seed(1), 2, 1 << 20);
        let old = computer.environment();
        let path = Path::new("/disks/1/a");
        let file = old.files.create(path).unwrap();
        file.write_all_at(b"1", 0).unwrap();
        computer.crash();
        assert!(old.files.remove(path).is_err() && file.write_all_at(b"2", 0).is_err());
        let new = computer.environment();
        assert_eq!(new.files.read(path).unwrap(), b"1");
        // A process that ended by itself makes way for the next one as well.
        let newest = computer.environment();
        assert!(new.files.read(path).is_err() && newest.files.read(path).is_ok());
    }

    #[test]
    fn a_wiped_computer_is_a_new_one() {
        let computer = Computer::new(Seed(1), 2, 1 << 20);
        let options = EngineOptions { columns: &[COLUMN], journal: true };
        let environment = computer.environment();
        let engine = environment.engines.open(Path::new("/data/engine"), &options).unwrap();
        put(engine.as_ref(), 1);
        engine.sync().unwrap();
        environment.files.replace(Path::new("/disks/0/a"), b"1").unwrap();
        computer.wipe();
        let environment = computer.environment();
        assert!(environment.files.open(Path::new("/disks/0/a")).is_err());
        assert!(environment.files.list(Path::new("/data")).unwrap().is_empty());
        let engine = environment.engines.open(Path::new("/data/engine"), &options).unwrap();
        assert_eq!(engine.get(COLUMN, &[1]).unwrap(), None);
    }

    #[test]
    fn processes_and_computers_draw_different_numbers_and_repeat_them() {
        let draw = |seed, processes| {
            let computer = Computer::new(Seed(seed), 1, 1 << 20);
            let mut bytes = [0; 16];
            for _ in 0..processes {
                computer.environment().entropy.fill(&mut bytes);
            }
            bytes
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
    }

    #[test]
    fn data_disks_are_where_their_paths_say() {
        let computer = Computer::new(Seed(1), 3, 1 << 20);
        let files = computer.environment().files;
        for (disk, path) in computer.data_disks().iter().zip(computer.disk_paths()) {
            let file = path.join("a");
            files.replace(&file, b"1").unwrap();
            assert_eq!(disk.files_below(Path::new("/")), [file]);
        }
        assert!(computer.system_disk().files_below(Path::new("/")).is_empty());
    }
}
