//! What can go wrong in a colocation rack, and who decides what goes wrong when.

pub mod atlas;
pub mod chart;
mod clock;
pub mod computer;
mod disk;
pub mod nemesis;
mod network;
mod schedule;
pub mod target;

use std::fmt;

use serde::Serialize;

pub use atlas::Atlas;
pub use computer::supervise;
pub use nemesis::{Injected, Nemesis};
pub use target::WrittenExtent;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A link loses a share of its messages.
    MessageLoss,
    /// A link is slow; messages overtake each other.
    MessageDelay,
    /// Two groups of nodes do not hear each other.
    Partition,
    /// One node hears another one, but not the other way round.
    OnewayPartition,
    /// Messages between two nodes are held, and released all at once.
    Hold,
    /// A process dies and is started again.
    Crash,
    /// A computer loses its power: what was not synced goes, some of it torn.
    PowerLoss,
    /// All computers lose their power.
    Blackout,
    /// A node is away for long.
    Outage,
    /// A node loses all its disks and joins anew.
    Wipe,
    /// A wall clock steps.
    ClockStep,
    /// A wall clock runs fast or slow.
    ClockDrift,
    /// Reads of a disk fail.
    ReadErrors,
    /// Writes of a disk fail.
    WriteErrors,
    /// Syncs of a disk fail.
    SyncErrors,
    /// A disk is full.
    FullDisk,
    /// A disk is slow.
    SlowDisk,
    /// A disk answers nothing at all for a while.
    HungDisk,
    /// Bits of a shard file flip.
    BitRot,
    /// A block of a shard file was written to the place of another.
    Misdirection,
    /// A shard file is gone.
    MissingShard,
}

impl FaultKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::MessageLoss,
        Self::MessageDelay,
        Self::Partition,
        Self::OnewayPartition,
        Self::Hold,
        Self::Crash,
        Self::PowerLoss,
        Self::Blackout,
        Self::Outage,
        Self::Wipe,
        Self::ClockStep,
        Self::ClockDrift,
        Self::ReadErrors,
        Self::WriteErrors,
        Self::SyncErrors,
        Self::FullDisk,
        Self::SlowDisk,
        Self::HungDisk,
        Self::BitRot,
        Self::Misdirection,
        Self::MissingShard,
    ];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}
