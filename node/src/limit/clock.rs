//! tokio's time, as governor wants it.

use governor::clock::Clock;
use governor::nanos::Nanos;
use tokio::time::Instant;

/// Time since a moment that all accounts share.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.origin.elapsed().into()
    }
}
