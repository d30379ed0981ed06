//! What happens to disks: they fail, fill up, slow down and hang; and what they hold is damaged behind the product's
//! back, as far as the atlas says that it is borne.
//!
//! Failing disks are well again afterwards. Damage stays until the product finds it and writes the extent anew.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use storage::shard::ShardName;

use super::FaultKind;
use super::atlas::Atlas;
use super::schedule::Scene;
use super::target::{Part, Target, WrittenExtent};
use crate::cluster::Control;
use crate::computer::Computer;
use crate::disk::{DiskFaults, SimulatedDisk};

/// Shares of the operations that fail, in percent.
const ERRORS_PERCENT: [u8; 4] = [1, 10, 50, 100];
/// How long every operation of a slow disk takes, in milliseconds.
const SLOW_MILLISECONDS: [u64; 4] = [1, 10, 100, 500];
/// How long every mebibyte of a slow disk takes besides, in milliseconds.
const SLOW_MILLISECONDS_PER_MEBIBYTE: [u64; 3] = [10, 100, 1_000];
/// Most shards that are damaged at a time.
const DAMAGED_AT_ONCE_MAX: usize = 4;

/// A disk that does not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failing {
    node: usize,
    /// 0 is the system disk, the data disks follow.
    disk: usize,
    faults: DiskFaults,
    hangs: Duration,
}

impl Failing {
    /// A disk fails in the way of this kind.
    pub(super) fn draw(kind: FaultKind, lasts: Duration, random: &mut StdRng, scene: &Scene) -> Self {
        let percent = *ERRORS_PERCENT.choose(random).unwrap_or(&100);
        let milliseconds = |random: &mut StdRng, choice: &[u64]| {
            Duration::from_millis(choice.choose(random).copied().unwrap_or_default())
        };
        let mut faults = DiskFaults::default();
        let mut hangs = Duration::ZERO;
        match kind {
            FaultKind::ReadErrors => faults.read_errors_percent = percent,
            FaultKind::WriteErrors => faults.write_errors_percent = percent,
            FaultKind::SyncErrors => faults.sync_errors_percent = percent,
            FaultKind::FullDisk => faults.full = true,
            FaultKind::SlowDisk => {
                faults.latency_per_operation = milliseconds(random, &SLOW_MILLISECONDS);
                faults.latency_per_mebibyte = milliseconds(random, &SLOW_MILLISECONDS_PER_MEBIBYTE);
            }
            _ => hangs = lasts,
        }
        let node = scene.node(random);
        Self { node, disk: random.random_range(0..=scene.disks), faults, hangs }
    }

    pub(super) fn target(&self) -> Target {
        Target { parts: BTreeSet::from([Part::Disk(self.node, self.disk)]), impairs: BTreeSet::from([self.node]) }
    }

    pub(super) fn inject(&self, control: &Control) {
        let disk = self.disk(control);
        disk.set_faults(self.faults);
        if !self.hangs.is_zero() {
            disk.hang_for(self.hangs);
        }
    }

    pub(super) fn end(&self, control: &Control) {
        self.disk(control).heal();
    }

    fn disk(&self, control: &Control) -> SimulatedDisk {
        let computer = control.computer(self.node);
        match self.disk.checked_sub(1) {
            None => computer.system_disk().clone(),
            Some(index) => computer.data_disks()[index].clone(),
        }
    }
}

/// Shards of one node that are damaged in a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    kind: FaultKind,
    node: usize,
    shards: usize,
    block_bytes: usize,
    /// Decides which ones, and where in them.
    seed: u64,
}

/// A shard file.
struct Shard {
    /// Position of its disk among the data disks.
    index: usize,
    disk: SimulatedDisk,
    path: PathBuf,
    extent: WrittenExtent,
}

impl Damage {
    pub(super) fn draw(kind: FaultKind, random: &mut StdRng, scene: &Scene) -> Self {
        let node = scene.node(random);
        let shards = random.random_range(1..=DAMAGED_AT_ONCE_MAX);
        Self { kind, node, shards, block_bytes: scene.block_bytes, seed: random.random_range(0..u64::MAX) }
    }

    /// Whose shards they are.
    pub(super) const fn node(&self) -> usize {
        self.node
    }

    /// Damages what may be damaged. Whether anything was.
    pub(super) fn inject(&self, control: &Control, atlas: &Atlas, now: Duration) -> bool {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut done = false;
        for _ in 0..self.shards {
            let shards = shards(&control.computer(self.node));
            let may = |shard: &&Shard| atlas.chart().may_damage(now, self.node, &shard.extent);
            let eligible: Vec<&Shard> = shards.iter().filter(may).collect();
            let Some(shard) = eligible.choose(&mut random) else { break };
            let outcome = match self.kind {
                FaultKind::MissingShard => shard.disk.lose(&shard.path),
                FaultKind::Misdirection => {
                    let beside: Vec<&Shard> = shards.iter().filter(|other| other.index == shard.index).collect();
                    let from = beside.choose(&mut random).map_or(&shard.path, |other| &other.path);
                    shard.disk.misdirect(from, &shard.path, self.block_bytes, &mut random)
                }
                _ => shard.disk.rot(&shard.path, &mut random),
            };
            // An empty file has nothing that could be damaged.
            if let Ok(told) = outcome {
                atlas.chart().damage(now, self.node, shard.extent);
                control.trace.note(&format!("fault: {} on node {}: {told}", self.kind, self.node));
                done = true;
            }
        }
        done
    }
}

/// All shard files of a computer, in order.
fn shards(computer: &Computer) -> Vec<Shard> {
    let mut shards = Vec::new();
    for (index, disk) in computer.data_disks().into_iter().enumerate() {
        for path in disk.shard_files() {
            let name = path.file_name().and_then(|name| name.to_str()?.parse::<ShardName>().ok());
            if let Some(name) = name {
                shards.push(Shard { index, disk: disk.clone(), path, extent: WrittenExtent::from(&name) });
            }
        }
    }
    shards
}

/// All extents that have a shard on a computer.
pub(super) fn extents(computer: &Computer) -> BTreeSet<WrittenExtent> {
    shards(computer).into_iter().map(|shard| shard.extent).collect()
}
