//! Looks at a disk from outside: is it there, is it the right one, does it take bytes, does it have space.
//!
//! Asked some times a second: a look at the identity and one at the space. Writing is tried once a minute, and more often
//! while the disk is out of use, for its way back. What shard calls meet counts at once, between two examinations.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::identity::{self, STATE};
use super::{Disk, DiskHealth, DiskSpace};

/// Time between two attempts to write on a disk that is well.
const PROBE_INTERVAL: Duration = Duration::from_mins(1);
/// The same on one that is out of use.
const PROBE_INTERVAL_FENCED: Duration = Duration::from_secs(5);
/// The file that is written, in the directory [`STATE`].
const PROBE: &str = "probe";

/// What an examination found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examination {
    /// How the disk is.
    pub health: DiskHealth,
    /// Its space; `None` if it does not tell.
    pub space: Option<DiskSpace>,
}

/// What is under a disk's directory.
enum Presence {
    Present,
    Vanished,
    Foreign,
    /// Its identity is damaged.
    Damaged,
    /// The call failed, which is counted: once is no verdict.
    Unknown,
}

impl Disk {
    /// How the disk was found last, by an examination or by a call that failed since.
    #[must_use]
    pub fn health(&self) -> DiskHealth {
        DiskHealth::from_code(self.health.load(Ordering::Relaxed))
    }

    /// Looks at the disk. Blocks. What it finds shows in [`health`](Self::health), and is logged when it has changed.
    pub fn examine(&self) -> Examination {
        let examination = self.look();
        let before = DiskHealth::from_code(self.health.swap(examination.health.code(), Ordering::Relaxed));
        let (after, path) = (examination.health, self.path().display());
        if before != after && after == DiskHealth::Healthy {
            tracing::info!(disk = %self.id(), %path, was = before.name(), "disk is healthy again");
        } else if before != after {
            let advice = after.advice();
            tracing::warn!(disk = %self.id(), %path, health = after.name(), was = before.name(), advice, "disk has changed");
        }
        examination
    }

    fn look(&self) -> Examination {
        let presence = self.presence();
        let health = match presence {
            Presence::Vanished => return Examination { health: DiskHealth::Vanished, space: None },
            Presence::Foreign => return Examination { health: DiskHealth::Foreign, space: None },
            Presence::Damaged => Some(DiskHealth::Failing),
            Presence::Present | Presence::Unknown => None,
        };
        if matches!(presence, Presence::Present) {
            self.probe();
        }
        let space = self.space().ok();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let health = health.unwrap_or(match space {
            _ if state.fence.is_fenced() => DiskHealth::Failing,
            _ if state.read_only => DiskHealth::ReadOnly,
            // One look that failed is no verdict: several fence.
            None if self.health().takes_shards() => DiskHealth::Healthy,
            None => DiskHealth::Failing,
            Some(space) if space.available_bytes == 0 => DiskHealth::Full,
            Some(_) => DiskHealth::Healthy,
        });
        Examination { health, space }
    }

    /// Whether the directory holds this disk now: to be asked before its silence is believed.
    #[must_use]
    pub fn is_present(&self) -> bool {
        matches!(self.presence(), Presence::Present)
    }

    fn presence(&self) -> Presence {
        match self.files().read(&self.path().join(identity::FILE)) {
            Ok(content) => match identity::decode(self.path(), &content) {
                Ok(id) if id == self.id() => Presence::Present,
                Ok(_) => Presence::Foreign,
                Err(_) => Presence::Damaged,
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Presence::Vanished
            }
            Err(error) => {
                self.note_failure(&error);
                Presence::Unknown
            }
        }
    }

    /// Tries to write when it is time to.
    fn probe(&self) {
        let now = Instant::now();
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let out_of_use = state.read_only || state.fence.is_fenced();
            let pause = if out_of_use { PROBE_INTERVAL_FENCED } else { PROBE_INTERVAL };
            if now.saturating_duration_since(state.probed) < pause {
                return;
            }
            state.probed = now;
        }
        let directory = self.path().join(STATE);
        let written = self
            .files()
            .create_directory_all(&directory)
            .and_then(|()| self.files().replace(&directory.join(PROBE), b"regnode tries to write\n"));
        match written {
            Ok(()) => {}
            // That there is no space is told by the space.
            Err(error) if is_full(&error) => {}
            Err(error) => return self.note_failure(&error),
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read_only = false;
        state.fence.passed(now);
    }

    /// Counts a failed call, and takes the disk out of use if that was one too many.
    pub(crate) fn note_failure(&self, error: &io::Error) {
        self.count_io_error();
        let health = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
                let begins = !state.read_only;
                state.read_only = true;
                begins.then_some(DiskHealth::ReadOnly)
            } else {
                state.fence.failed(Instant::now()).then_some(DiskHealth::Failing)
            }
        };
        let Some(health) = health else { return };
        // One that has vanished fails every call: what is the matter with it is known already.
        if self.health().holds_shards() {
            self.health.store(health.code(), Ordering::Relaxed);
        }
        let (path, health) = (self.path().display(), health.name());
        tracing::error!(disk = %self.id(), %path, health, %error, "disk takes no shards any more");
    }
}

/// Whether a call failed for want of space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
