//! A cluster grows from one node to six and shrinks back to three under load, and the data follows it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::operator::{blackout, join, leave, moved_little};
use super::traffic::{Setting, Stage, play};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

const NODES: usize = 6;
/// Longest time until the data has followed.
const FOLLOWED: Duration = Duration::from_mins(20);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn growth_and_shrinkage(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting { nodes: NODES, founders: 1, disks: 1, clients: 2, limit: Duration::from_hours(3) };
    let statistics = play(seed, setting, trace, court, |stage| story(stage, false))?;
    trace.note(&format!("{} requests, {} retries", statistics.requests, statistics.retries));
    ensure!(statistics.given_up == 0, "{} requests failed for good: {statistics:?}", statistics.given_up);
    Ok(())
}

/// The same with a power loss of all nodes after each join, and in the middle of each drain.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn power_loss_during_growth(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting { nodes: NODES, founders: 1, disks: 1, clients: 2, limit: Duration::from_hours(3) };
    play(seed, setting, trace, court, |stage| story(stage, true)).map(drop)
}

async fn story(stage: Stage, dark: bool) -> Result<()> {
    join(&stage, &[2, 3]).await?;
    if dark {
        blackout(&stage, &[1, 2, 3]).await?;
    }
    stage.control.redundant(1, FOLLOWED).await.context("the data is coded over three nodes")?;
    join(&stage, &[4, 5, 6]).await?;
    if dark {
        blackout(&stage, &[1, 2, 3, 4, 5, 6]).await?;
    }
    stage.control.redundant(1, FOLLOWED).await.context("the data is coded over six nodes")?;
    for number in [6, 5, 4] {
        let members: Vec<usize> = (1..=number).collect();
        let dark = dark.then_some(members.as_slice());
        leave(&stage, 1, number, dark, FOLLOWED).await.with_context(|| format!("node {number} leaves"))?;
    }
    stage.serving(&[1, 2, 3]);
    stage.control.redundant(1, FOLLOWED).await.context("the data is coded over three nodes again")?;
    if dark { Ok(()) } else { moved_little(&stage, &[1, 2, 3]).await }
}
