//! What came of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::configuration::Configuration;
use crate::fault::FaultKind;
use crate::judge::Violation;
use crate::operator::OrderKind;
use crate::trace::Trace;

/// What came of the run of one seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What the seed decided.
    pub configuration: Configuration,
    /// Digest of the trace.
    pub digest: String,
    /// Lines of the trace.
    pub lines: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// Operations of the clients.
    pub operations: u64,
    /// Requests that the operations are made of.
    pub requests: u64,
    /// Requests that were sent again because the answer allowed or demanded it.
    pub retries: u64,
    /// Faults that were injected.
    pub faults: BTreeMap<FaultKind, u64>,
    /// What an operator did, by kind.
    pub orders: BTreeMap<OrderKind, u64>,
    /// Shard files at the end that the catalog does not know: not a fault, the sweep has its time.
    pub orphans: u64,
    /// Checks that a judge gave up undecided because they would have taken too long.
    pub undecided: u64,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// All broken promises, in order; the first one included.
    pub violations: Vec<Violation>,
}

impl Outcome {
    /// What is known of a run that did not come to its end: how far its trace reached, and why it ended.
    #[must_use]
    pub fn cut_short(configuration: Configuration, trace: &Trace, violations: Vec<Violation>) -> Self {
        Self {
            configuration,
            digest: trace.digest(),
            lines: trace.lines(),
            virtual_time: trace.reached(),
            operations: 0,
            requests: 0,
            retries: 0,
            faults: BTreeMap::new(),
            orders: BTreeMap::new(),
            orphans: 0,
            undecided: 0,
            violation: violations.first().cloned(),
            violations,
        }
    }
}
