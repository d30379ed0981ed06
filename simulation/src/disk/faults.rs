//! What is wrong with a disk at the moment, and what its operations meet because of it.
//!
//! Errors carry the numbers of Linux. A failed operation may have had a part of its effect; which part is said where it
//! is carried out. Bits that rot and writes that go astray are damage, not faults: see [`damage`](super::damage).

use std::io;
use std::ops::Add;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde::Serialize;

use super::latency;

/// `EIO` of Linux.
const EIO: i32 = 5;
/// `ENOSPC` of Linux.
const ENOSPC: i32 = 28;
const MEBIBYTE: u64 = 1 << 20;

/// What is wrong with a disk. The default is a disk that is well and takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskFaults {
    /// Share of reads that fail with `EIO`, in percent.
    pub read_errors_percent: u8,
    /// Share of writes and of changes to directories that fail with `EIO`, in percent. A prefix of a failed write may
    /// have been written.
    pub write_errors_percent: u8,
    /// Share of syncs that fail with `EIO`, in percent. What was not synced of the file goes with the next loss of
    /// power, even if a later sync succeeds, as on Linux.
    pub sync_errors_percent: u8,
    /// Whether everything that needs space fails with `ENOSPC`, whatever the capacity.
    pub full: bool,
    /// How long every operation takes.
    pub latency_per_operation: Duration,
    /// How long every mebibyte takes besides.
    pub latency_per_mebibyte: Duration,
}

/// How often faults were met, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Writes that were refused although there was space.
    pub full: u64,
    /// Operations that were slowed down.
    pub slow: u64,
    /// Operations that waited until the disk answered again.
    pub hung: u64,
}

impl Add for FaultCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read_errors: self.read_errors + other.read_errors,
            write_errors: self.write_errors + other.write_errors,
            sync_errors: self.sync_errors + other.sync_errors,
            full: self.full + other.full,
            slow: self.slow + other.slow,
            hung: self.hung + other.hung,
        }
    }
}

/// What an operation wants of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Bytes or names.
    Read,
    /// To write something that needs space.
    Write,
    /// To change something that needs none: a removal, a rename.
    Change,
    /// That something is durable.
    Sync,
}

/// The faults of one disk, with the random numbers that decide who meets them.
#[derive(Debug)]
pub(super) struct Faults {
    settings: DiskFaults,
    /// Virtual time at which the disk answers again.
    hung_until: Option<Duration>,
    random: StdRng,
    counts: FaultCounts,
    /// Virtual time at which an operation last ended with an error.
    failed_at: Option<Duration>,
}

impl Faults {
    pub(super) fn new(random: StdRng) -> Self {
        Self {
            settings: DiskFaults::default(),
            hung_until: None,
            random,
            counts: FaultCounts::default(),
            failed_at: None,
        }
    }

    pub(super) const fn set(&mut self, settings: DiskFaults) {
        self.settings = settings;
    }

    pub(super) fn heal(&mut self) {
        self.settings = DiskFaults::default();
        self.hung_until = None;
    }

    pub(super) fn hang_for(&mut self, time: Duration) {
        let until = latency::now().saturating_add(time);
        self.hung_until = self.hung_until.max(Some(until));
    }

    pub(super) const fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Virtual time at which an operation last ended with an error.
    pub(super) const fn failed_at(&self) -> Option<Duration> {
        self.failed_at
    }

    /// The disk's random numbers, for everything else that chance decides on it.
    pub(super) const fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// An operation on this many bytes begins: it takes its time, and may fail.
    pub(super) fn meet(&mut self, access: Access, bytes: u64) -> io::Result<()> {
        self.delay(bytes);
        let DiskFaults { read_errors_percent, write_errors_percent, sync_errors_percent, full, .. } = self.settings;
        if full && access == Access::Write {
            self.counts.full += 1;
            self.failed_at = Some(latency::moment());
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let percent = match access {
            Access::Read => read_errors_percent,
            Access::Write | Access::Change => write_errors_percent,
            Access::Sync => sync_errors_percent,
        };
        if percent == 0 || self.random.random_range(0..100) >= percent {
            return Ok(());
        }
        self.failed_at = Some(latency::moment());
        match access {
            Access::Read => self.counts.read_errors += 1,
            Access::Write | Access::Change => self.counts.write_errors += 1,
            Access::Sync => self.counts.sync_errors += 1,
        }
        Err(io::Error::from_raw_os_error(EIO))
    }

    fn delay(&mut self, bytes: u64) {
        if let Some(until) = self.hung_until {
            if latency::spend_until(until) {
                self.counts.hung += 1;
            } else {
                self.hung_until = None;
            }
        }
        let DiskFaults { latency_per_operation, latency_per_mebibyte, .. } = self.settings;
        let nanoseconds = latency_per_mebibyte.as_nanos() * u128::from(bytes) / u128::from(MEBIBYTE);
        let time =
            latency_per_operation.saturating_add(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)));
        if !time.is_zero() {
            self.counts.slow += 1;
            latency::spend(time);
        }
    }
}

/// Whether an error says that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ENOSPC)
}
