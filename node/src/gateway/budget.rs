//! The write budget: how many bytes of uploads this node holds in memory between receiving and writing.
//!
//! Bytes are counted as long as any slice of them lives, because a batch owns its share of the budget. A batch asks
//! for its share only once it is full, so a slow client never holds what a fast one could use; and whoever holds a
//! share waits for disks and peers only, never for the budget, so there is no deadlock.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
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
struct Counted {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Budget {
    /// A budget of so many bytes. `used` shows what is taken.
    pub(super) fn new(total_bytes: usize, used: Gauge) -> Self {
        let total_units = (total_bytes / UNIT_BYTES).max(1);
        Self { units: Arc::new(Semaphore::new(total_units)), total_units, used }
    }

    /// Waits for a share for `bytes` and `overhead_bytes` more, and lets the bytes own it. What is larger than the
    /// whole budget takes the whole budget.
    pub(super) async fn count(&self, bytes: Vec<u8>, overhead_bytes: usize) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        let taken = bytes.len() + overhead_bytes;
        let units = taken.div_ceil(UNIT_BYTES).clamp(1, self.total_units);
        let permit = Arc::clone(&self.units)
            .acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX))
            .await
            .expect("the semaphore is never closed");
        let taken = i64::try_from(taken).unwrap_or(i64::MAX);
        self.used.inc_by(taken);
        Bytes::from_owner(Counted { bytes, _share: Share { _permit: permit, bytes: taken, used: self.used.clone() } })
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
        let second = budget.count(vec![2; 4 * UNIT_BYTES], 0);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(slice);
        assert_eq!(second.await.len(), 4 * UNIT_BYTES);
        assert_eq!(used.get(), 0);
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
