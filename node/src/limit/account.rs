//! What one identity, or one address, has used of what it may.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::clock::TokioClock;
use super::throttle::Rates;

/// Requests that may come at once, as so many seconds' worth: clients pull layers side by side.
const BURST_SECONDS: u32 = 5;

/// Bytes that are counted as one.
pub(super) const UNIT_BYTES: u64 = 1024;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Nanos>>;

/// One of them.
#[derive(Debug)]
pub(super) struct Account {
    clock: TokioClock,
    requests: Option<Limiter>,
    bytes: Option<(Limiter, NonZeroU32)>,
    uploads: AtomicU32,
    uploads_max: u32,
}

/// An upload that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct UploadPlace(Arc<Account>);

impl Account {
    /// A new one, with all that it may have.
    pub(super) fn new(rates: &Rates, clock: TokioClock) -> Self {
        let requests = NonZeroU32::new(rates.requests_per_second).map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::new(BURST_SECONDS).unwrap_or(NonZeroU32::MIN));
            RateLimiter::direct_with_clock(Quota::per_second(rate).allow_burst(burst), clock)
        });
        let units = rates.bytes_per_second.div_ceil(UNIT_BYTES);
        let bytes = NonZeroU32::new(u32::try_from(units).unwrap_or(u32::MAX))
            .map(|rate| (RateLimiter::direct_with_clock(Quota::per_second(rate), clock), rate));
        Self { clock, requests, bytes, uploads: AtomicU32::new(0), uploads_max: rates.uploads }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// The time after which the next one is taken.
    pub(super) fn request(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.requests else { return Ok(()) };
        limiter.check().map_err(|refused| refused.wait_time_from(self.clock.now()))
    }

    /// Counts one upload, if there is a place for it.
    pub(super) fn upload(self: &Arc<Self>) -> Option<UploadPlace> {
        let limit = if self.uploads_max == 0 { u32::MAX } else { self.uploads_max };
        let more = |count: u32| (count < limit).then(|| count + 1);
        self.uploads.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(UploadPlace(Arc::clone(self)))
    }

    /// Whether its bytes are counted.
    pub(super) const fn counts_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    /// Pays for as many units of bytes as can be paid for at one time.
    ///
    /// # Errors
    /// The time after which it is to be tried again.
    pub(super) fn pay(&self, units: NonZeroU32) -> Result<NonZeroU32, Duration> {
        let Some((limiter, most)) = &self.bytes else { return Ok(units) };
        let units = units.min(*most);
        match limiter.check_n(units) {
            Ok(Ok(())) => Ok(units),
            Ok(Err(refused)) => Err(refused.wait_time_from(self.clock.now())),
            // No more is asked for than a second's worth, which is what it can hold.
            Err(_insufficient) => Ok(units),
        }
    }
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::AcqRel);
    }
}
