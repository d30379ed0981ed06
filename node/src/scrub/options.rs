//! How often the scrub reads, and how long it waits before it unlinks.

use std::time::Duration;

use crate::config::ScrubSettings;

/// Options of the scrub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Every block is read once within this time.
    pub period: Duration,
    /// An orphan is kept for so long.
    pub orphan_grace: Duration,
}

impl Options {
    /// Shortest time of one inventory of a disk.
    const INVENTORY_MIN: Duration = Duration::from_secs(15);
    /// Longest one: a missing file is found within it.
    const INVENTORY_MAX: Duration = Duration::from_hours(6);

    /// Time that one inventory of a disk is spread over: some of them fit into an orphan's grace.
    pub(super) fn inventory_interval(&self) -> Duration {
        (self.orphan_grace / 4).clamp(Self::INVENTORY_MIN, Self::INVENTORY_MAX)
    }
}

impl From<&ScrubSettings> for Options {
    fn from(settings: &ScrubSettings) -> Self {
        Self {
            period: Duration::from_secs(settings.period_seconds),
            orphan_grace: Duration::from_secs(settings.orphan_grace_seconds),
        }
    }
}
