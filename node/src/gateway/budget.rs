//! Budgets of memory: how many bytes of uploads this node holds between receiving and writing, how many of downloads
//! between reading and sending, how many of extents that it writes anew.
//!
//! Bytes are counted as long as any slice of them lives, because they own their share of the budget. A batch asks
//! for its share only once it is full, so a slow client never holds what a fast one could use; and whoever holds a
//! share of the writes waits for disks and peers only, never for a budget. Who writes an extent anew holds a share of
//! the copies while it waits for one of the writes, and never the other way round. Who sends to a client waits for the
//! client, and for a further share only with none left but what the client is about to take. So there is no deadlock.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use storage::switch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units, since a semaphore counts to 2³².
const UNIT_BYTES: usize = 1 << 10;

/// The budget of one node.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
    total_units: usize,
    used: Gauge,
}

/// A share of the budget.
#[derive(Debug)]
pub(super) struct Share {
    _permit: OwnedSemaphorePermit,
    bytes: i64,
    used: Gauge,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.dec_by(self.bytes);
    }
}

/// Bytes with the share that they use up.
struct Counted<B> {
    bytes: B,
    _share: Arc<Share>,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Counted<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Share {
    /// Lets bytes own the share together.
    pub(super) fn own(self, bytes: Vec<Bytes>) -> Vec<Bytes> {
        let share = Arc::new(self);
        let owned = |bytes| Bytes::from_owner(Counted { bytes, _share: Arc::clone(&share) });
        bytes.into_iter().map(owned).collect()
    }
}

impl Budget {
    /// A budget of so many bytes. `used` shows what is taken.
    pub(super) fn new(total_bytes: usize, used: Gauge) -> Self {
        let total_units = (total_bytes / UNIT_BYTES).max(1);
        Self { units: Arc::new(Semaphore::new(total_units)), total_units, used }
    }

    /// Bytes of the whole budget.
    pub(super) const fn total_bytes(&self) -> usize {
        self.total_units * UNIT_BYTES
    }

    /// Bytes that are taken, in whole units.
    pub(super) fn used_bytes(&self) -> usize {
        (self.total_units - self.units.available_permits()) * UNIT_BYTES
    }

    /// Waits for a share for `bytes` and `overhead_bytes` more, and lets the bytes own it.
    pub(super) async fn count(&self, bytes: Vec<u8>, overhead_bytes: usize) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        let share = Arc::new(self.share(bytes.len() + overhead_bytes).await);
        if switch::broken("gateway.budget.leak_permit") {
            std::mem::forget(Arc::clone(&share));
        }
        Bytes::from_owner(Counted { bytes, _share: share })
    }

    /// Waits for a share of so many bytes. What is larger than the whole budget takes the whole budget.
    pub(super) async fn share(&self, bytes: usize) -> Share {
        let permit = Arc::clone(&self.units).acquire_many_owned(self.units(bytes)).await;
        self.taken(permit.expect("the semaphore is never closed"), bytes)
    }

    /// A share, if there is one at once that leaves half of the budget to those who wait for theirs.
    pub(super) fn try_share(&self, bytes: usize) -> Option<Share> {
        let units = self.units(bytes);
        if self.units.available_permits() < units as usize + self.total_units / 2 {
            return None;
        }
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units).ok()?;
        Some(self.taken(permit, bytes))
    }

    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES).clamp(1, self.total_units)).unwrap_or(u32::MAX)
    }

    fn taken(&self, permit: OwnedSemaphorePermit, bytes: usize) -> Share {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.used.inc_by(bytes);
        Share { _permit: permit, bytes, used: self.used.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_lives_as_long_as_any_slice_of_its_bytes() {
        let used = Gauge::default();
        let budget = Budget::new(8 * UNIT_BYTES, used.clone());
        let first = budget.count(vec![1; 4 * UNIT_BYTES], 2 * UNIT_BYTES).await;
        let slice = first.slice(10..20);
        drop(first);
        assert_eq!(used.get(), i64::try_from(6 * UNIT_BYTES).unwrap());
        assert_eq!(budget.used_bytes(), 6 * UNIT_BYTES);
        let second = budget.count(vec![2; 4 * UNIT_BYTES], 0);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(slice);
        assert_eq!(second.await.len(), 4 * UNIT_BYTES);
        assert_eq!((used.get(), budget.used_bytes()), (0, 0));
    }

    #[tokio::test]
    async fn what_is_taken_on_the_chance_leaves_half_to_the_others() {
        let budget = Budget::new(8 * UNIT_BYTES, Gauge::default());
        let some = budget.try_share(3 * UNIT_BYTES).unwrap();
        assert!(budget.try_share(2 * UNIT_BYTES).is_none());
        let more = budget.try_share(UNIT_BYTES).unwrap().own(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
        assert!(budget.try_share(1).is_none());
        drop(budget.share(4 * UNIT_BYTES).await);
        drop((some, more));
        assert!(budget.try_share(4 * UNIT_BYTES).is_some());
    }

    #[tokio::test]
    async fn more_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(2 * UNIT_BYTES, Gauge::default());
        let large = budget.count(vec![1; 9 * UNIT_BYTES], 0).await;
        let next = budget.count(vec![1], 0);
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(large);
        assert_eq!(next.await.len(), 1);
    }
}
