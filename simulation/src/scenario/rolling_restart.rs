//! All nodes are restarted one after the other under constant pushes and pulls: no request fails for a client that
//! follows ordinary retry rules.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::traffic::{Setting, Stage, play};
use crate::cluster::Fate;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

const NODES: usize = 3;
/// Pause between two nodes, as an operator would look whether all is well.
const LOOK: Duration = Duration::from_secs(5);
/// How long a restart takes the process.
const DOWN: Duration = Duration::from_secs(3);
/// Longest time until nothing is below its redundancy.
const REDUNDANT: Duration = Duration::from_mins(3);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn rolling_restart(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 1,
        clients: 4,
        grace_seconds: 20,
        limit: Duration::from_mins(30),
    };
    let statistics = play(seed, setting, trace, court, story)?;
    trace.note(&format!(
        "{} requests, {} of them retries, {} given up",
        statistics.requests, statistics.retries, statistics.given_up
    ));
    ensure!(statistics.given_up == 0, "{} requests failed for good: {statistics:?}", statistics.given_up);
    Ok(())
}

async fn story(stage: Stage) -> Result<()> {
    let all: Vec<usize> = (1..=NODES).collect();
    for number in 1..=NODES {
        stage.control.fate(number, Fate::Stop).await;
        sleep(DOWN).await;
        stage.control.fate(number, Fate::Start).await;
        stage.ready(&all).await.with_context(|| format!("node {number} is back"))?;
        stage.control.redundant(1, REDUNDANT).await?;
        let statistics = stage.statistics();
        stage.note(&format!(
            "node {number} restarted: {} requests, {} retries",
            statistics.requests, statistics.retries
        ));
        sleep(LOOK).await;
    }
    Ok(())
}
