//! The smoke scenario: three nodes, a push, a partition, a crash and restart, a power loss of all, pulls in between.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::act::{RECOVERY, bytes, client, pull_blob, pull_image, push_image};
use crate::cluster::{Control, Fate, World};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

/// Nodes of the cluster.
const NODES: usize = 3;
/// Longest virtual time of the run.
const LIMIT: Duration = Duration::from_mins(10);
const REPOSITORY: &str = "library/smoke";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn smoke(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    World::quiet(seed, NODES, LIMIT).run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;

    let first = bytes(seed, "first", 300_000);
    let manifest = client(&control, 1).push_image(REPOSITORY, "first", &first).await.context("push through node 1")?;
    for number in 1..=NODES {
        pull_image(&control, number, REPOSITORY, "first", &manifest, &first).await?;
    }

    // A minority can neither push nor answer for a tag; the majority goes on.
    control.isolate(3, true);
    let second = bytes(seed, "second", 200_000);
    let manifest = push_image(&control, 1, REPOSITORY, "second", &second).await.context("push through the majority")?;
    pull_image(&control, 2, REPOSITORY, "second", &manifest, &second).await?;
    let alone = client(&control, 3).pull_manifest(REPOSITORY, "second").await;
    ensure!(alone.is_err(), "an isolated node answered for a tag that it cannot know");
    control.isolate(3, false);
    control.ready(&[1, 2, 3], RECOVERY).await.context("node 3 is back")?;
    pull_image(&control, 3, REPOSITORY, "second", &manifest, &second).await?;
    control.redundant(1, RECOVERY).await.context("degraded writes are coded anew")?;

    // The process of a node dies while the others go on.
    control.fate(2, Fate::Crash).await;
    let third = bytes(seed, "third", 150_000);
    let manifest = push_image(&control, 3, REPOSITORY, "third", &third).await.context("push while node 2 is down")?;
    pull_image(&control, 1, REPOSITORY, "third", &manifest, &third).await?;
    control.fate(2, Fate::Start).await;
    control.ready(&[1, 2, 3], RECOVERY).await.context("node 2 is back")?;
    pull_image(&control, 2, REPOSITORY, "third", &manifest, &third).await?;

    // Power goes everywhere at once: what was acknowledged is there afterwards.
    for number in 1..=NODES {
        control.fate(number, Fate::PowerLoss).await;
    }
    for number in 1..=NODES {
        control.fate(number, Fate::Start).await;
    }
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster is back after a power loss of all")?;
    for number in 1..=NODES {
        pull_image(&control, number, REPOSITORY, "third", &manifest, &third).await?;
        pull_blob(&control, number, REPOSITORY, &first).await?;
        pull_blob(&control, number, REPOSITORY, &second).await?;
    }
    Ok(())
}
