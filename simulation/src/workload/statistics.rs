//! What the clients of a run did, in numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::OperationKind;
use super::http::Cause;
use super::record::Reply;

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Operations that were begun, by kind.
    pub begun: BTreeMap<OperationKind, u64>,
    /// Operations that came to the end that they were begun for.
    pub succeeded: BTreeMap<OperationKind, u64>,
    /// Requests, retries and repetitions included.
    pub requests: u64,
    /// Requests that were sent again since the first one failed.
    pub retries: u64,
    /// Requests that failed as often as their client tries.
    pub given_up: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that could not be sent.
    pub unsent: u64,
    /// Requests in whose middle the client hung up.
    pub hung_up: u64,
    /// Requests whose answer was lost.
    pub lost: u64,
}

/// The statistics of a run. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    statistics: Arc<Mutex<Statistics>>,
}

impl Tally {
    fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    #[must_use]
    pub(super) fn so_far(&self) -> Statistics {
        self.statistics().clone()
    }

    pub(super) fn begun(&self, kind: OperationKind) {
        *self.statistics().begun.entry(kind).or_default() += 1;
    }

    pub(super) fn succeeded(&self, kind: OperationKind) {
        *self.statistics().succeeded.entry(kind).or_default() += 1;
    }

    pub(super) fn given_up(&self) {
        self.statistics().given_up += 1;
    }

    pub(super) fn retried(&self) {
        self.statistics().retries += 1;
    }

    pub(super) fn request(&self, reply: &Reply) {
        let mut statistics = self.statistics();
        statistics.requests += 1;
        match reply.as_ref().map_err(|failure| &failure.cause) {
            Ok(answer) => *statistics.statuses.entry(answer.status).or_default() += 1,
            Err(Cause::Unsent(_)) => statistics.unsent += 1,
            Err(Cause::HungUpSending | Cause::HungUp) => statistics.hung_up += 1,
            Err(Cause::Lost(_)) => statistics.lost += 1,
        }
    }
}
