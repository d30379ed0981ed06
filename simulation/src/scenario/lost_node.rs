//! A node is lost for good in a loaded cluster and replaced by an empty computer: no client notices, and the redundancy
//! is full again afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::operator::{blackout, gone, moved_little, name};
use super::traffic::{Setting, Stage, play};
use crate::cluster::Fate;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

const NODES: usize = 3;
/// The node that is lost.
const LOST: usize = 3;
/// How long it takes until somebody brings another computer.
const NOTICED: Duration = Duration::from_secs(20);
/// Longest time until the old node is gone, and until the redundancy is full.
const REPAIRED: Duration = Duration::from_mins(10);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn node_lost_and_replaced(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 1,
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
pub fn power_loss_during_replacement(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 1,
        clients: 3,
        grace_seconds: 20,
        limit: Duration::from_hours(1),
    };
    play(seed, setting, trace, court, |stage| story(stage, true)).map(|_| ())
}

async fn story(stage: Stage, dark: bool) -> Result<()> {
    stage.control.fate(LOST, Fate::PowerLoss).await;
    stage.control.fate(LOST, Fate::Wipe).await;
    sleep(NOTICED).await;
    stage.control.replaces(LOST, &name(LOST));
    stage.control.fate(LOST, Fate::Start).await;
    stage.ready(&[1, 2, LOST]).await.context("the new node serves")?;
    if dark {
        blackout(&stage, &[1, 2, LOST]).await?;
    }
    gone(&stage, 1, LOST, REPAIRED).await?;
    stage.control.redundant(1, REPAIRED).await.context("the redundancy is full again")?;
    if dark { Ok(()) } else { moved_little(&stage).await }
}
