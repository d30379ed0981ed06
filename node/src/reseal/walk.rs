//! The walk over one disk: first every file's header is read and counted, then the files are rewritten that do not lie
//! where they should. What was found is kept in memory only: after a restart the files tell it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use storage::disk::Disk;
use storage::seal::KeyId;
use storage::shard::DiskId;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::Shared;
use super::content::{Found, Trouble};
use crate::vault::Wanted;

/// Longest rest at a time.
const REST_MAX: Duration = Duration::from_secs(10);

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    fn take(&mut self, bytes: u64) {
        self.files = self.files.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Files by the key that they lie under; `None`: in the clear.
pub type Counts = BTreeMap<Option<KeyId>, Count>;

/// How far one disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// What its files are to be.
    pub(super) wanted: Wanted,
    pub(super) counts: Counts,
    /// Pages with files that are to be rewritten; `None` until all were counted.
    pub(super) stale: Option<BTreeSet<u8>>,
    /// What it has left behind.
    pub(super) left: Left,
}

/// Files that were not rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// That nobody may rewrite now: of uploads in progress, and of none.
    pub(super) unplaced: u64,
    /// That could not be.
    pub(super) failed: u64,
    /// Why the last of those could not be.
    pub(super) why: Trouble,
}

impl Left {
    fn is_empty(&self) -> bool {
        self.unplaced == 0 && self.failed == 0
    }

    fn add(&mut self, more: Self) {
        self.unplaced += more.unplaced;
        self.failed += more.failed;
        if more.failed > 0 {
            self.why = more.why;
        }
    }
}

impl Walk {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, counts: Counts::new(), stale: None, left: Left::default() }
    }

    /// Whether all its files are as they are wanted.
    pub(super) fn is_done(&self, wanted: Wanted) -> bool {
        self.wanted == wanted && self.stale.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

/// Brings the files of a disk to what is wanted, as far as that is possible now. Ends early if something else is wanted.
pub(super) async fn walk(shared: &Shared, disk: DiskId, wanted: Wanted) -> Result<(), Trouble> {
    let stale = shared.with(disk, wanted, |walk| walk.stale.clone());
    let stale = match stale {
        Some(stale) => stale,
        None => match count(shared, disk, wanted).await? {
            Some(stale) => stale,
            None => return Ok(()),
        },
    };
    shared.with(disk, wanted, |walk| walk.left = Left::default());
    for page in stale {
        if shared.vault.wanted() != Some(wanted) {
            return Ok(());
        }
        let left = rewrite(shared, disk, page, wanted).await?;
        shared.with(disk, wanted, |walk| {
            if left.is_empty()
                && let Some(stale) = &mut walk.stale
            {
                stale.remove(&page);
            }
            walk.left.add(left);
        });
    }
    Ok(())
}

/// Reads what all files of a disk lie under. `None` if something else is wanted by now.
async fn count(shared: &Shared, disk: DiskId, wanted: Wanted) -> Result<Option<BTreeSet<u8>>, Trouble> {
    shared.with(disk, wanted, |walk| *walk = Walk::new(wanted));
    let mut stale = BTreeSet::new();
    for page in 0..Disk::SHARD_PAGES {
        if shared.vault.wanted() != Some(wanted) {
            return Ok(None);
        }
        let page = u8::try_from(page).unwrap_or(u8::MAX);
        let began = Instant::now();
        let found = shared.content.list(disk, page).await?;
        if found.iter().any(|file| file.under != wanted.under()) {
            stale.insert(page);
        }
        shared.with(disk, wanted, |walk| {
            for file in &found {
                walk.counts.entry(file.under).or_default().add(file.bytes);
            }
        });
        // Half of the disk's time is for others.
        sleep(began.elapsed().min(REST_MAX)).await;
    }
    shared.with(disk, wanted, |walk| walk.stale = Some(stale.clone()));
    Ok(Some(stale))
}

/// Rewrites the files of a page. Returns what is left that cannot be rewritten now.
async fn rewrite(shared: &Shared, disk: DiskId, page: u8, wanted: Wanted) -> Result<Left, Trouble> {
    let mut left = Left::default();
    for file in shared.content.list(disk, page).await? {
        if file.under == wanted.under() {
            continue;
        }
        if shared.vault.wanted() != Some(wanted) {
            left.unplaced += 1;
            return Ok(left);
        }
        if !shared.content.is_placed(disk, &file.name)? {
            debug!(%disk, object = %file.name.object, "a shard file that the catalog does not know is not rewritten");
            left.unplaced += 1;
            continue;
        }
        let began = Instant::now();
        if let Err(trouble) = shared.content.reseal(disk, file.name).await {
            warn!(%disk, object = %file.name.object, extent = file.name.extent.0, shard = file.name.shard.0, trouble,
                "a shard file cannot be rewritten under the newest key");
            left.add(Left { failed: 1, why: trouble, ..Left::default() });
            continue;
        }
        note(shared, disk, wanted, file);
        sleep(rest(file.bytes, began.elapsed(), shared.bytes_per_second)).await;
    }
    Ok(left)
}

fn note(shared: &Shared, disk: DiskId, wanted: Wanted, file: Found) {
    shared.with(disk, wanted, |walk| {
        walk.counts.entry(file.under).or_default().take(file.bytes);
        walk.counts.entry(wanted.under()).or_default().add(file.bytes);
        walk.counts.retain(|_, count| count.files > 0);
    });
    shared.metrics.rewritten(file.bytes);
}

/// Rest after `bytes` that took so long.
fn rest(bytes: u64, took: Duration, bytes_per_second: u64) -> Duration {
    if bytes_per_second == 0 {
        return Duration::ZERO;
    }
    let share = Duration::from_micros(bytes.saturating_mul(1_000_000) / bytes_per_second);
    share.saturating_sub(took).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_setting() {
        let second = Duration::from_secs(1);
        assert_eq!(rest(32 << 20, second / 4, 32 << 20), second / 4 * 3);
        assert_eq!(rest(32 << 20, second * 2, 32 << 20), Duration::ZERO);
        assert_eq!(rest(u64::MAX, second, 1), REST_MAX);
        assert_eq!(rest(u64::MAX, second, 0), Duration::ZERO, "0 is no limit");
    }
}
