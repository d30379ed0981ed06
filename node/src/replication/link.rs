//! What all copies from one region share: places for transfers, which the more important namespaces get first, and the
//! rate at which bytes may come.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// The way from one region to this one, as its copies share it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Link {
    places: Arc<Places>,
    rate: Arc<Rate>,
}

impl Link {
    /// A link with so many transfers at a time.
    pub(super) fn new(parallel: usize) -> Self {
        Self { places: Arc::new(Places::new(parallel)), rate: Arc::default() }
    }

    /// So many bytes may come in each second from now on; all that can, if none are named.
    pub(super) fn limit(&self, bytes_per_second: Option<u64>) {
        self.rate.limit.store(bytes_per_second.unwrap_or(0), Ordering::Relaxed);
    }

    /// Waits for a place.
    pub(super) async fn place(&self, priority: u8) -> Place {
        let waiter = {
            let mut places = self.places.state();
            if places.free > 0 {
                places.free -= 1;
                return Place { of: Some(Arc::clone(&self.places)) };
            }
            let (sender, waiter) = oneshot::channel();
            let turn = places.next_turn;
            places.next_turn += 1;
            places.queue.insert((Reverse(priority), turn), sender);
            waiter
        };
        // Who holds the sender hands a place over with it; it is never dropped before that.
        match waiter.await {
            Ok(place) => place,
            Err(_gone) => Place { of: Some(Arc::clone(&self.places)) },
        }
    }

    /// So many bytes have come. Waits until more may.
    pub(super) async fn arrived(&self, bytes: u64) {
        let rest = self.rate.take(bytes, Instant::now());
        if !rest.is_zero() {
            sleep(rest).await;
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    free: usize,
    next_turn: u64,
    /// The most important first, and of equals who has waited longest.
    queue: BTreeMap<(Reverse<u8>, u64), oneshot::Sender<Place>>,
}

#[derive(Debug)]
struct Places {
    state: Mutex<Waiting>,
}

impl Places {
    fn new(parallel: usize) -> Self {
        Self { state: Mutex::new(Waiting { free: parallel.max(1), ..Waiting::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one transfer, given to the next one when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// Taken out of what is not to be given on.
    of: Option<Arc<Places>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.of.take();
        while let Some(places) = held {
            let next = {
                let mut places = places.state();
                let next = places.queue.pop_first();
                if next.is_none() {
                    places.free += 1;
                }
                next
            };
            let Some((_, sender)) = next else { return };
            // Who has gone meanwhile gives it back, for the one behind him. Not by dropping it: thousands may have gone.
            held = sender.send(Self { of: Some(places) }).err().and_then(|mut returned| returned.of.take());
        }
    }
}

/// Bytes that may come: goes below zero, and who took it there waits until it is zero again.
#[derive(Debug)]
struct Rate {
    /// In each second; zero is without limit.
    limit: AtomicU64,
    level: Mutex<(f64, Instant)>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { limit: AtomicU64::new(0), level: Mutex::new((0.0, Instant::now())) }
    }
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
    fn take(&self, bytes: u64, now: Instant) -> Duration {
        let limit = self.limit.load(Ordering::Relaxed);
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        if limit == 0 {
            *level = (0.0, now);
            return Duration::ZERO;
        }
        let rate = limit as f64;
        let earned = now.saturating_duration_since(level.1).as_secs_f64() * rate;
        // What was not used for more than a second is forgotten.
        *level = ((level.0 + earned).min(rate) - bytes as f64, now);
        Duration::from_secs_f64((-level.0 / rate).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_more_important_go_first_and_equals_in_turn() {
        let link = Link::new(1);
        let first = link.place(5).now_or_never().unwrap();
        let mut low = Box::pin(link.place(1));
        let mut one = Box::pin(link.place(5));
        let mut two = Box::pin(link.place(5));
        let mut high = Box::pin(link.place(9));
        for waiting in [&mut low, &mut one, &mut two, &mut high] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        drop(first);
        assert!(low.as_mut().now_or_never().is_none() && one.as_mut().now_or_never().is_none());
        let place = high.now_or_never().unwrap();
        drop(place);
        // Who waits no more is passed over.
        drop(one);
        let place = two.now_or_never().unwrap();
        assert!(low.as_mut().now_or_never().is_none());
        drop(place);
        drop(low.now_or_never().unwrap());
        assert!(link.place(0).now_or_never().is_some(), "all places came back");
    }

    #[tokio::test]
    async fn a_place_passes_over_any_number_that_wait_no_more() {
        let link = Link::new(1);
        let first = link.place(5).now_or_never().unwrap();
        let mut gone: Vec<_> = (0..200_000).map(|_| Box::pin(link.place(5))).collect();
        assert!(gone.iter_mut().all(|waiting| waiting.as_mut().now_or_never().is_none()));
        let mut last = Box::pin(link.place(5));
        assert!(last.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        drop(last.now_or_never().unwrap());
        assert!(link.place(0).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_the_rate_of_the_link() {
        let link = Link::new(2);
        let began = Instant::now();
        link.arrived(1 << 40).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "without a limit nothing waits");
        link.limit(Some(1000));
        for _ in 0..20 {
            link.arrived(500).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        assert!((8.9..=10.1).contains(&seconds), "{seconds}");
    }
}
