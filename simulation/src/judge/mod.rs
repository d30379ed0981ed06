//! The judges: what must hold in every run, each in a file of its own with its source.
//!
//! Some watch while the run goes on (raft_safety, log, replicas), others weigh the [`History`](crate::history) at its
//! end (linearizability, durability), or what the nodes hold at rest (shards, redundancy, mending). All of them accuse
//! before one [`Court`]; the first accusation ends the run.

pub mod authority;
pub mod availability;
pub mod bounds;
pub mod catalog;
pub mod copies;
pub mod durability;
pub mod emptiness;
pub mod holdings;
pub mod inspection;
pub mod lease;
pub mod linearizability;
pub mod liveness;
pub mod log;
pub mod mending;
pub mod raft_safety;
pub mod redundancy;
pub mod replicas;
pub mod residency;
pub mod shards;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The judge, by the name of its file.
    pub judge: &'static str,
    /// What was seen, with names and values.
    pub text: String,
    /// Virtual time of the finding since the run began.
    pub at: Duration,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {:.3} s: {}", self.judge, self.at.as_secs_f64(), self.text)
    }
}

impl std::error::Error for Violation {}

/// Where judges accuse. Clones are the same court.
#[derive(Clone, Debug, Default)]
pub struct Court {
    violations: Arc<Mutex<Vec<Violation>>>,
}

/// Accusations kept: the first one matters, the next ones may explain it.
const KEPT: usize = 16;

impl Court {
    fn violations(&self) -> MutexGuard<'_, Vec<Violation>> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a promise was broken, at the present virtual time.
    pub fn accuse(&self, judge: &'static str, text: impl Into<String>) {
        let at = if turmoil::in_simulation() { turmoil::sim_elapsed().unwrap_or_default() } else { Duration::ZERO };
        self.accuse_at(at, judge, text);
    }

    /// Records that a promise was broken, at a virtual time that is over.
    pub fn accuse_at(&self, at: Duration, judge: &'static str, text: impl Into<String>) {
        let mut violations = self.violations();
        if violations.len() < KEPT {
            violations.push(Violation { judge, text: text.into(), at });
        }
    }

    /// The first violation.
    #[must_use]
    pub fn first(&self) -> Option<Violation> {
        self.violations().first().cloned()
    }

    /// The violations, in order; at most sixteen.
    #[must_use]
    pub fn all(&self) -> Vec<Violation> {
        self.violations().clone()
    }
}
