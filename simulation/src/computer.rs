//! A simulated computer: what survives the process that runs on it. Disk, engines, clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use node::environment::Environment;
use storage::disk::Files;
use storage::exec::Exec;
use storage::kv::MemoryEngines;

use crate::clock::SimulatedClock;
use crate::disk::SimulatedDisk;
use crate::entropy::SeededEntropy;
use crate::network::SimulatedNetwork;

/// Bytes of a simulated disk.
const CAPACITY_BYTES: u64 = 1 << 30;

/// One computer. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Computer {
    disk: SimulatedDisk,
    engines: MemoryEngines,
    clock: SimulatedClock,
    seed: u64,
    starts: Arc<AtomicU64>,
}

impl Computer {
    /// A computer with an empty disk. Its random numbers follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(CAPACITY_BYTES);
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        Self {
            engines: MemoryEngines::new(files),
            disk,
            clock: SimulatedClock::default(),
            seed,
            starts: Arc::new(AtomicU64::new(0)),
        }
    }

    /// The environment of the next process on it. Each process draws other random numbers.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        Environment {
            network: Arc::new(SimulatedNetwork),
            files: Arc::new(self.disk.clone()),
            engines: Arc::new(self.engines.clone()),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(self.seed.wrapping_add(start.wrapping_mul(0x9e37_79b9_7f4a_7c15)))),
            exec: Exec::inline(),
        }
    }

    /// Its disk.
    #[must_use]
    pub const fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// Its wall clock.
    #[must_use]
    pub const fn clock(&self) -> &SimulatedClock {
        &self.clock
    }

    /// The process is dead, the computer stays up: files keep what was written to them. The engines keep what was
    /// synced, which is stricter than a real system, whose page cache survives a process.
    pub fn process_crash(&self) {
        self.engines.power_loss();
        self.disk.process_crash();
    }

    /// Takes the power away: everything that was not synced is forgotten. The process must be dead already.
    pub fn power_loss(&self) {
        self.engines.power_loss();
        self.disk.power_loss();
    }

    /// Shard files on its disk.
    #[must_use]
    pub fn shards(&self, data_dir: &Path) -> Vec<std::path::PathBuf> {
        self.disk.files_below(&data_dir.join("disk").join("shards"))
    }
}
