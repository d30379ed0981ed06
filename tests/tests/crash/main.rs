//! The crash test: real processes, RocksDB and a real disk under the simulator's clients and judges.
//!
//! The simulator swaps the disk, the engine, the network and the clock; what it proves about the rest must also hold on
//! the real ones. So three real nodes are killed, frozen and started again at random moments while the clients of
//! `simulation::workload` work on them, round after round, and after each round the same judges weigh what was answered.
//!
//! The moments follow from a seed, what they meet does not: a round that fails is not repeated exactly by its seed, but
//! its workload, settings and schedule are. The data, the logs and the history of a round that failed are kept.
//!
//! * `REGNODE_CRASH_SECONDS`: how long processes are struck, in all rounds together; each adds its founding, healing
//!   and verification. Two minutes and a half unless it is said.
//! * `REGNODE_CRASH_SEED`: the seed of the first round; the others follow it. Fresh unless it is said.
//!
//! Not here: power loss, for which a killed process is no substitute, since the system keeps what it had not synced. The
//! simulator's disks forget it.

mod killer;
mod round;
mod schedule;
mod summary;

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use simulation::seed::Seed;

use crate::summary::Summary;

/// How long processes are struck, unless the variable says otherwise.
const SECONDS: u64 = 150;
/// Longest time of one round: what its history holds stays small enough to be weighed at once.
const ROUND_SECONDS: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_however_processes_die() {
    let seconds = variable("REGNODE_CRASH_SECONDS").unwrap().unwrap_or(SECONDS).max(1);
    let first = variable("REGNODE_CRASH_SEED").unwrap().unwrap_or_else(fresh_seed);
    let rounds = seconds.div_ceil(ROUND_SECONDS);
    let lasts = Duration::from_secs(seconds) / u32::try_from(rounds).unwrap();
    summary::say(&format!("{rounds} rounds of {lasts:.0?} from seed {first} on"));
    let mut total = Summary::default();
    for seed in (0..rounds).map(|round| Seed(first.wrapping_add(round))) {
        total.add(round::round(seed, lasts).await);
    }
    summary::say(&format!("in all: {total}"));
    total.check_worth();
}

/// A number from the environment.
fn variable<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(name: &str) -> Result<Option<T>> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    let text = value.to_str().with_context(|| format!("{name} is no text"))?;
    Ok(Some(text.parse().with_context(|| format!("{name}={text}"))?))
}

/// A seed that nobody ran before: seconds of the wall clock.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
