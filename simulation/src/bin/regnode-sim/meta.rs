//! `regnode-sim meta`: the test of the simulator's own promise, that a seed decides everything.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use simulation::report::{Grouped, Report};

use crate::child::Task;
use crate::difference::Difference;
use crate::pool::LIMIT_SECONDS;
use crate::{Verdict, say};

/// Show that the same seed gives the same trace in two processes, and another seed another one.
///
/// When it does not, the first line that differs is shown with its context from both.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  regnode-sim meta --seed 7 --seed 8")]
pub(crate) struct Arguments {
    /// Seeds to try; a single one is compared with the next [default: 1 and 2].
    #[arg(long = "seed", value_name = "N")]
    seeds: Vec<u64>,
}

impl Arguments {
    fn seeds(&self) -> Vec<u64> {
        match self.seeds[..] {
            [] => vec![1, 2],
            [only] => vec![only, only.wrapping_add(1)],
            _ => self.seeds.clone(),
        }
    }
}

/// Compares the seeds' traces.
pub(crate) async fn meta(arguments: &Arguments) -> Result<Verdict> {
    let folder = tempfile::tempdir().context("creating a folder for traces")?;
    let mut kept = true;
    let mut digests: BTreeMap<String, u64> = BTreeMap::new();
    for seed in arguments.seeds() {
        let report = match twice(seed, folder.path()).await? {
            Ok(report) => report,
            Err(difference) => {
                say(&format!("seed {seed}: {difference}"));
                kept = false;
                continue;
            }
        };
        let (lines, digest) = (Grouped(report.lines), &report.digest);
        say(&format!("seed {seed}: {lines} lines, digest {digest} in two processes"));
        // It may well break other promises, as long as it does so each time.
        if let Some(violation) = report.violations.first() {
            say(&format!("  both ended with {violation}"));
        }
        if let Some(other) = digests.insert(report.digest, seed).filter(|other| *other != seed) {
            say(&format!("seeds {other} and {seed} gave the same trace"));
            kept = false;
        }
    }
    Ok(Verdict::kept(kept))
}

/// Runs a seed in two processes; where their traces part if they do.
async fn twice(seed: u64, folder: &Path) -> Result<std::result::Result<Report, String>> {
    let task = |name: &str| Task {
        trace: Some(folder.join(name)),
        ..Task::seed(seed, std::time::Duration::from_secs(LIMIT_SECONDS))
    };
    let (first, second) = (task("first"), task("second"));
    let (left, right) = tokio::try_join!(first.run(), second.run())?;
    if left.digest == right.digest && left.lines == right.lines {
        return Ok(Ok(left));
    }
    let difference = match compare(&folder.join("first"), &folder.join("second")).context("reading the traces")? {
        Some(difference) => difference.to_string(),
        None => format!("the traces are the same, the reports are not:\n{left}\n{right}"),
    };
    Ok(Err(difference))
}

#[expect(clippy::disallowed_methods, reason = "reads what other processes wrote, outside the simulation")]
fn compare(first: &Path, second: &Path) -> io::Result<Option<Difference>> {
    let open = |path: &Path| std::fs::File::open(path).map(BufReader::new);
    Difference::find(open(first)?, open(second)?)
}
