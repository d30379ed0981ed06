//! A disk of a node fails for good under load: its shards are rebuilt elsewhere, and no client notices.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use storage::shard::DiskId;
use tokio::time::sleep;

use super::operator::{blackout, moved_little, until};
use super::traffic::{Setting, Stage, play};
use crate::disk::DiskFaults;
use crate::judge::Court;
use crate::operator::order::placed;
use crate::seed::Seed;
use crate::trace::Trace;

const NODES: usize = 3;
/// The node whose disk fails.
const NODE: usize = 2;
/// How long the clients go on with the dead disk before it is looked for.
const LOAD: Duration = Duration::from_secs(20);
/// Longest time until its shards are elsewhere.
const REPAIRED: Duration = Duration::from_mins(20);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn disk_lost(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 2,
        clients: 3,
        grace_seconds: 20,
        limit: Duration::from_hours(1),
    };
    let statistics = play(seed, setting, trace, court, |stage| story(stage, false))?;
    trace.note(&format!("{} requests, {} retries", statistics.requests, statistics.retries));
    ensure!(statistics.given_up == 0, "{} requests failed for good: {statistics:?}", statistics.given_up);
    Ok(())
}

/// The same with a power loss of all nodes in the middle of the repair.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn power_loss_during_repair(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 2,
        clients: 3,
        grace_seconds: 20,
        limit: Duration::from_hours(1),
    };
    play(seed, setting, trace, court, |stage| story(stage, true)).map(drop)
}

async fn story(stage: Stage, dark: bool) -> Result<()> {
    let id = first_disk(&stage).await?;
    let disk = stage.control.computer(NODE).data_disks()[0].clone();
    disk.set_faults(DiskFaults { read_errors_percent: 100, write_errors_percent: 100, ..DiskFaults::default() });
    sleep(LOAD).await;
    if dark {
        blackout(&stage, &[1, 2, 3]).await?;
    }
    until(REPAIRED, "nothing being placed on the dead disk", || async {
        placed(&stage.control, 1, id).await == Some(0)
    })
    .await?;
    stage.control.redundant(1, REPAIRED).await.context("the redundancy is full again")?;
    if dark { Ok(()) } else { moved_little(&stage).await }
}

/// Id of the first disk of the node.
async fn first_disk(stage: &Stage) -> Result<DiskId> {
    let order =
        stage.control.order(NODE, |node| Box::pin(async move { node.disks().all().first().map(|disk| disk.id()) }));
    order.await?.context("the node has a disk")
}
