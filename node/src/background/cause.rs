//! Why bytes are moved, and counters by that.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use raft::catalog::ShortfallReason;

/// Why bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A node is away or was removed.
    NodeAway,
    /// A disk failed or is gone.
    DiskFailed,
    /// A shard is damaged or missing.
    Damage,
    /// Written while nodes were down.
    DegradedWrite,
    /// The cluster gives a better profile than when it was written.
    Outgrown,
    /// A node or disk is being emptied.
    Drain,
    /// Disks are unequally full.
    Rebalance,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NodeAway,
        Self::DiskFailed,
        Self::Damage,
        Self::DegradedWrite,
        Self::Outgrown,
        Self::Drain,
        Self::Rebalance,
    ];

    /// Its name in metrics and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NodeAway => "node-away",
            Self::DiskFailed => "disk-failed",
            Self::Damage => "damage",
            Self::DegradedWrite => "degraded-write",
            Self::Outgrown => "outgrown",
            Self::Drain => "drain",
            Self::Rebalance => "rebalance",
        }
    }
}

impl From<ShortfallReason> for Cause {
    fn from(reason: ShortfallReason) -> Self {
        match reason {
            ShortfallReason::NodeAway => Self::NodeAway,
            ShortfallReason::DiskFailed => Self::DiskFailed,
            ShortfallReason::DegradedWrite => Self::DegradedWrite,
            ShortfallReason::Outgrown => Self::Outgrown,
            ShortfallReason::ReadMissing
            | ShortfallReason::ReadCorrupt
            | ShortfallReason::ReadFailed
            | ShortfallReason::Scrub
            | ShortfallReason::Inventory => Self::Damage,
        }
    }
}

/// Label of a cause.
type Label = [(&'static str, &'static str); 1];

/// A counter for each cause. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct PerCause(Family<Label, Counter>);

impl PerCause {
    /// The counter of one cause.
    #[must_use]
    pub fn of(&self, cause: Cause) -> Counter {
        self.0.get_or_create(&[("cause", cause.name())]).clone()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        Cause::ALL.iter().map(|cause| self.of(*cause).get()).sum()
    }

    /// The family, to be registered.
    pub(super) const fn family(&self) -> &Family<Label, Counter> {
        &self.0
    }
}
