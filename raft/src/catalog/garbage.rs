//! Garbage: what nothing holds, and when it may go.
//!
//! The rules of deadlines stand here, for the machine and for those who ask whether a client's question must be told to
//! it. Whether something is garbage is not decided here.

use serde::{Deserialize, Serialize};

use super::limit::TOUCH_INTERVAL_SECONDS_MAX;
use super::name::{Digest, RepositoryName, Tag};
use crate::policy::{Policy, Untagged};
use crate::time::Timestamp;

/// What waits for its deadline in the garbage queue. Key: deadline, item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GarbageItem {
    /// A blob that no repository links.
    Blob {
        /// The blob.
        digest: Digest,
        /// Its generation when it was queued.
        generation: u64,
    },
    /// A link that no manifest of its repository needs.
    Link {
        /// Repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// A manifest that nothing holds, where such ones are collected.
    Manifest {
        /// Repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Its generation when it was queued.
        generation: u64,
    },
    /// What is kept of a deleted manifest.
    Tombstone {
        /// Repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// The history of a tag that does not exist.
    TagHistory {
        /// Repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
}

/// A manifest that neither a tag nor an index nor a subject holds. Key: repository, digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnheldRecord {
    /// Since when.
    pub since: Timestamp,
    /// Its subject went, or its last index went by retention, bulk deletion or collection: it goes whatever the policy
    /// says of untagged manifests.
    pub orphaned: bool,
    /// A deletion let it go, which an operator may take back: it stays for as long as he can.
    pub deleted: bool,
}

/// Items of the garbage queue by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageTotals {
    /// Blobs.
    pub blobs: u64,
    /// Links.
    pub links: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Histories of tags.
    pub histories: u64,
}

impl GarbageTotals {
    /// Items of all kinds.
    #[must_use]
    pub const fn items(&self) -> u64 {
        self.blobs + self.links + self.manifests + self.tombstones + self.histories
    }

    /// The count that an item belongs to.
    pub(super) const fn of(&mut self, item: &GarbageItem) -> &mut u64 {
        match item {
            GarbageItem::Blob { .. } => &mut self.blobs,
            GarbageItem::Link { .. } => &mut self.links,
            GarbageItem::Manifest { .. } => &mut self.manifests,
            GarbageItem::Tombstone { .. } => &mut self.tombstones,
            GarbageItem::TagHistory { .. } => &mut self.histories,
        }
    }
}

/// Seconds between two touches that change something, under this grace.
#[must_use]
pub const fn touch_interval_seconds(grace_seconds: u64) -> u64 {
    let share = grace_seconds / 8;
    if share < TOUCH_INTERVAL_SECONDS_MAX { share } else { TOUCH_INTERVAL_SECONDS_MAX }
}

/// When a link or blob goes of which a client last learned at `touched`. An interval is in it, so that what a client is
/// told of without a touch stays for a whole grace too.
#[must_use]
pub const fn touched_deadline(touched: Timestamp, grace_seconds: u64) -> Timestamp {
    touched.plus_seconds(touch_interval_seconds(grace_seconds)).plus_seconds(grace_seconds)
}

/// Whether a touch at `now` moves a deadline: without it, what a client is told of would not stay for a whole grace.
#[must_use]
pub fn is_touch_due(deadline: Timestamp, now: Timestamp, grace_seconds: u64) -> bool {
    deadline < now.plus_seconds(grace_seconds)
}

/// When a manifest goes that nothing holds; `None` if the policy keeps it. A grace passes in any case since a client
/// learned that it exists: the index that is to list it may come last.
#[must_use]
pub fn unheld_deadline(unheld: &UnheldRecord, policy: &Policy) -> Option<Timestamp> {
    let wait_seconds = match policy.untagged {
        _ if unheld.orphaned => 0,
        Untagged::Collect { after_seconds } => after_seconds,
        Untagged::Keep => return None,
    };
    let restorable_seconds = if unheld.deleted { policy.restore_seconds } else { 0 };
    let waited = unheld.since.plus_seconds(wait_seconds.max(restorable_seconds));
    Some(waited.max(touched_deadline(unheld.since, policy.grace_seconds)))
}

crate::versioned! {
    GarbageItem = 1, "garbage item";
    UnheldRecord = 1, "unheld record";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever is told of something at `asked`, with a touch if one is due, finds it for a whole grace.
        #[test]
        fn what_a_client_is_told_of_stays_for_a_whole_grace(
            (touched, grace) in (0..1_000_000_u64, prop_oneof![Just(0), 0..200_000_u64]),
            asked in prop::collection::vec(0..40_000_u64, 1..20),
        ) {
            let mut now = Timestamp(touched);
            let mut deadline = touched_deadline(now, grace);
            let mut touches = Vec::new();
            for seconds in asked {
                now = now.plus_seconds(seconds);
                if is_touch_due(deadline, now, grace) {
                    deadline = touched_deadline(now, grace);
                    touches.push(now);
                }
                prop_assert!(deadline >= now.plus_seconds(grace));
            }
            let interval = touch_interval_seconds(grace) * 1000;
            prop_assert!(touches.windows(2).all(|pair| pair[1].0 - pair[0].0 > interval), "touches are coalesced");
        }
    }

    #[test]
    fn an_untagged_manifest_goes_by_policy_and_an_orphan_always() {
        // With an eighth of the grace on top: 18.
        let keep = Policy { grace_seconds: 16, restore_seconds: 50, ..Policy::default() };
        let collect = Policy { untagged: Untagged::Collect { after_seconds: 20 }, ..keep.clone() };
        let since = Timestamp(1000);
        let unheld = |orphaned, deleted| UnheldRecord { since, orphaned, deleted };
        let deadline = |unheld, policy| unheld_deadline(&unheld, policy).map(|deadline: Timestamp| deadline.0 / 1000);
        assert_eq!(deadline(unheld(false, false), &keep), None);
        assert_eq!(deadline(unheld(false, true), &keep), None);
        assert_eq!(deadline(unheld(true, false), &keep), Some(19));
        assert_eq!(deadline(unheld(true, true), &keep), Some(51));
        assert_eq!(deadline(unheld(false, false), &collect), Some(21));
        assert_eq!(deadline(unheld(false, true), &collect), Some(51));
        assert_eq!(deadline(unheld(true, false), &collect), Some(19));
        let hasty = Policy { untagged: Untagged::Collect { after_seconds: 0 }, ..keep.clone() };
        assert_eq!(deadline(unheld(false, false), &hasty), Some(19), "never within the grace");
    }
}
