//! Free space of a disk above its reserve, and the ledger that keeps writers out of the reserve.
//!
//! The reserve is what the metadata engine, logs and deletions need to go on when a disk is full: shard writes never
//! touch it. Asking the file system at every write would cost a system call per block, so that the ledger asks at most
//! once per [`REFRESH_BYTES`] written, and whenever its figure says that there is not enough.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::Space;

/// Bytes written between two looks at the file system.
const REFRESH_BYTES: u64 = 16 << 20;

/// Part of a disk that shards never use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Percent of the file system's size, at most 90.
    pub percent: u8,
}

impl Reserve {
    /// Most that can be reserved, in percent.
    pub const PERCENT_MAX: u8 = 90;

    /// Bytes reserved of a file system with `total_bytes`.
    #[must_use]
    pub fn bytes(self, total_bytes: u64) -> u64 {
        let percent = u128::from(self.percent.min(Self::PERCENT_MAX));
        u64::try_from(u128::from(total_bytes) * percent / 100).unwrap_or(u64::MAX)
    }
}

impl Default for Reserve {
    /// Five percent.
    fn default() -> Self {
        Self { percent: 5 }
    }
}

/// Space of one disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Size of the file system.
    pub capacity_bytes: u64,
    /// What shards can still use: free space above the reserve.
    pub available_bytes: u64,
    /// All free space that an unprivileged process can use, the reserve included.
    pub free_bytes: u64,
}

impl DiskSpace {
    /// Splits the space of a file system at the reserve.
    #[must_use]
    pub fn of(space: Space, reserve: Reserve) -> Self {
        let reserve_bytes = reserve.bytes(space.total_bytes);
        Self {
            capacity_bytes: space.total_bytes,
            available_bytes: space.available_bytes.saturating_sub(reserve_bytes),
            free_bytes: space.available_bytes,
        }
    }

    /// How full the file system is, in percent, rounded up.
    #[must_use]
    pub fn used_percent(&self) -> u8 {
        let used = self.capacity_bytes.saturating_sub(self.free_bytes);
        let percent = (u128::from(used) * 100).div_ceil(u128::from(self.capacity_bytes.max(1)));
        u8::try_from(percent).unwrap_or(100)
    }
}

/// A write would reach into the reserve. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "disk {path:?}: {used_percent}% full, uploads are refused above {limit_percent}% (storage.reserve_percent); free \
     space or add a disk"
)]
pub struct NoSpace {
    /// Directory of the disk.
    pub path: PathBuf,
    /// How full the file system is.
    pub used_percent: u8,
    /// From where on writes are refused.
    pub limit_percent: u8,
}

/// Counts what is written against the last known free space.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What could be written at the last look; 0 before the first.
    available_bytes: u64,
    /// What was promised to writers since.
    promised_bytes: u64,
}

impl Ledger {
    /// Whether `bytes` more may be written; `look` asks the file system.
    pub(super) fn promise(&self, bytes: u64, look: impl FnOnce() -> io::Result<DiskSpace>) -> io::Result<bool> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = state.promised_bytes.saturating_add(bytes);
        if promised <= REFRESH_BYTES && promised < state.available_bytes {
            state.promised_bytes = promised;
            return Ok(true);
        }
        let space = look()?;
        let enough = bytes < space.available_bytes;
        // A full disk is looked at every time, so that freed space is seen and a shrinking rest is not given away.
        *state = if enough {
            State { available_bytes: space.available_bytes, promised_bytes: bytes }
        } else {
            State::default()
        };
        Ok(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn space(available_bytes: u64) -> DiskSpace {
        let space = Space { total_bytes: 1000 * MIB, available_bytes };
        DiskSpace::of(space, Reserve::default())
    }

    #[test]
    fn available_is_what_lies_above_the_reserve() {
        assert_eq!(space(60 * MIB).available_bytes, 10 * MIB);
        assert_eq!(space(30 * MIB).available_bytes, 0);
        assert_eq!(space(30 * MIB).used_percent(), 97);
        assert_eq!(Reserve { percent: 255 }.bytes(100), 90);
        assert_eq!(Reserve { percent: 5 }.bytes(u64::MAX), u64::MAX / 20);
    }

    #[test]
    fn the_file_system_is_asked_rarely() {
        let ledger = Ledger::default();
        let mut looks = 0;
        for _ in 0..64 {
            let look = || {
                looks += 1;
                Ok(space(900 * MIB))
            };
            assert!(ledger.promise(MIB, look).unwrap());
        }
        assert_eq!(looks, 4);
    }

    #[test]
    fn the_reserve_is_never_promised() {
        let ledger = Ledger::default();
        let look = || Ok(space(60 * MIB));
        assert!(ledger.promise(9 * MIB, look).unwrap());
        assert!(!ledger.promise(2 * MIB, || Ok(space(51 * MIB))).unwrap());
        assert!(ledger.promise(2 * MIB, look).unwrap(), "freed space is seen at once");
    }

    #[test]
    fn a_failing_look_is_an_error() {
        let ledger = Ledger::default();
        assert!(ledger.promise(1, || Err(io::ErrorKind::Other.into())).is_err());
    }
}
