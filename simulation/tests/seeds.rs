//! Seeds: a fixed set, so that what held yesterday holds today, and a fresh one, so that it is not only those. A fresh
//! seed that fails is repeated by the command in its report.

mod program;

/// How many fresh seeds are run, if not so many.
const FRESH_SEEDS: &str = "REGNODE_SIM_FRESH_SEEDS";

#[test]
fn fixed_seeds_keep_every_promise() {
    program::kept(&["swarm", "--from", "1", "--seeds", "4", "--jobs", "1", "--check-determinism-every", "4"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the number of runs, outside of every run")]
fn fresh_seeds_keep_every_promise() {
    let seeds = std::env::var(FRESH_SEEDS).unwrap_or_else(|_| "3".to_owned());
    program::kept(&["swarm", "--seeds", &seeds, "--jobs", "1"]);
}
