//! Scenarios: named stories that end well or name what went wrong. Each bug that the simulator found is one of them.

use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

pub mod smoke;

/// A named story.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, as the command line takes it.
    pub name: &'static str,
    /// What happens in it, in a sentence.
    pub about: &'static str,
    /// Runs it with a seed; judges may accuse before the court. Returns the first thing that was not as it must be.
    pub run: fn(Seed, &Trace, &Court) -> anyhow::Result<()>,
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "smoke",
    about: "three nodes, a push, a partition, a crash and restart, a power loss of all, pulls in between",
    run: smoke::smoke,
}];
