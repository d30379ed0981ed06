//! Connections of callers that have not shown who they are: few at a time, and the oldest goes when another one comes.
//!
//! So whoever opens many of them only pushes out their own: a peer gets its turn, shows its certificate, and counts here
//! no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// A bounded number of places.
#[derive(Debug)]
pub(super) struct Strangers {
    limit: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// By number: the oldest one first.
    taken: BTreeMap<u64, CancellationToken>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Arc<Strangers>,
    number: u64,
    lost: CancellationToken,
}

impl Strangers {
    /// No more than `limit` at one time.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, places: Mutex::default() })
    }

    /// Takes a place; when none is free, that of the oldest one.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let lost = CancellationToken::new();
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, lost.clone());
        while places.taken.len() > self.limit
            && let Some((_, oldest)) = places.taken.pop_first()
        {
            oldest.cancel();
        }
        drop(places);
        Place { strangers: Arc::clone(self), number, lost }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until somebody newer has taken it.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.strangers.places().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_another_one_comes() {
        let strangers = Strangers::new(2);
        let (first, second) = (strangers.enter(), strangers.enter());
        drop(first);
        let third = strangers.enter();
        assert!(!second.lost.is_cancelled());
        let fourth = strangers.enter();
        assert!(second.lost.is_cancelled() && !third.lost.is_cancelled() && !fourth.lost.is_cancelled());
        drop((second, third, fourth));
        assert!(strangers.places().taken.is_empty());
    }
}
