//! Pins the bug that a group lived on after its node was dropped (`Drop for Group` in `raft/src/group/mod.rs`): a node
//! whose catalog had stopped, and whose process therefore ended, went on leading the directory. Nobody else could lead it
//! then, and nobody could change it.

use std::time::Duration;

use anyhow::{Context, Result};

use super::act::{RECOVERY, bytes, is_directory, leader, pull_image, push_image};
use super::watched;
use crate::cluster::{Control, Fate};
use crate::disk::DiskFaults;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

/// Longest time until a process ends whose log cannot be written.
const END: Duration = Duration::from_secs(10);
/// Longest time until the others have elected a leader.
const ELECTION: Duration = Duration::from_secs(15);
const REPOSITORY: &str = "library/app";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn dropped_group_is_silent(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    watched(seed, 3, court).run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    let first = leader(&control, is_directory).await?;
    let other = first % 3 + 1;

    // Nothing is written to the directory meanwhile: it learns of the broken log by the end of the process alone.
    let disk = control.computer(first).system_disk().clone();
    disk.set_faults(DiskFaults { sync_errors_percent: 100, ..DiskFaults::default() });
    let layer = bytes(seed, "layer", 1_000);
    let manifest = push_image(&control, other, REPOSITORY, "tag", &layer).await?;
    let ended = || control.report(first).ended.is_some();
    control.until(END, "the end of a process whose log cannot be written", ended).await?;
    let successor = || control.leader(is_directory).is_some();
    control.until(ELECTION, "another leader of the directory than the process that has ended", successor).await?;

    disk.heal();
    control.fate(first, Fate::Crash).await;
    control.fate(first, Fate::Start).await;
    control.ready(&[1, 2, 3], RECOVERY).await.context("the node is back")?;
    pull_image(&control, first, REPOSITORY, "tag", &manifest, &layer).await
}
