//! A cluster of three shrinks to two nodes and to one, under load. That breaks what three nodes promise, so the registry does
//! it by force alone: a node is drained first as long as two others can take what it holds, and the last but one is simply
//! removed, since everything that it holds lies on the last one too.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::operator::{ask, depart, gone, name, until};
use super::traffic::{Setting, Stage, play};
use crate::judge::Court;
use crate::operator::order::{Order, disks_of, placed};
use crate::seed::Seed;
use crate::trace::Trace;

const NODES: usize = 3;
/// Longest time until the data has followed.
const FOLLOWED: Duration = Duration::from_mins(10);
/// How long a refusal stands before the operator goes on.
const THOUGHT: Duration = Duration::from_secs(5);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn shrinkage_to_one(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 2,
        clients: 2,
        grace_seconds: 20,
        limit: Duration::from_hours(1),
    };
    let statistics = play(seed, setting, trace, court, story)?;
    trace.note(&format!("{} requests, {} retries", statistics.requests, statistics.retries));
    ensure!(statistics.given_up == 0, "{} requests failed for good: {statistics:?}", statistics.given_up);
    Ok(())
}

async fn story(stage: Stage) -> Result<()> {
    stage.rest(FOLLOWED).await.context("the data is coded over three nodes")?;
    ask(&stage, 1, FOLLOWED, Order::Drain(name(3))).await.context("node 3 is drained")?;
    refused(&stage, Order::Drain(name(2)), "could never be emptied").await?;
    let disks = disks_of(&stage.control, 3).await.context("node 3 knows its disks")?;
    for disk in disks {
        let empty = async || placed(&stage.control, 1, disk).await == Some(0);
        until(FOLLOWED, "node 3 being empty", empty).await?;
    }
    refused(&stage, Order::Leave(name(3)), "2 nodes and voters would remain").await?;
    force_out(&stage, 3).await?;
    stage.rest(FOLLOWED).await.context("the data is coded over two nodes")?;
    refused(&stage, Order::Drain(name(2)), "could never be emptied").await?;
    force_out(&stage, 2).await?;
    stage.rest(FOLLOWED).await.context("the data is coded over the disks of one node")
}

/// An order is refused for a reason, and nothing follows from it.
async fn refused(stage: &Stage, order: Order, reason: &str) -> Result<()> {
    let refusal = order.give(&stage.control, 1).await.err().with_context(|| format!("{order:?} was carried out"))?;
    stage.note(&refusal);
    ensure!(refusal.contains(reason), "{order:?} was refused for another reason: {refusal}");
    sleep(THOUGHT).await;
    Ok(())
}

/// A node leaves by force.
async fn force_out(stage: &Stage, number: usize) -> Result<()> {
    let order = Order::LeaveByForce(name(number));
    ask(stage, 1, FOLLOWED, order).await.with_context(|| format!("node {number} leaves by force"))?;
    gone(stage, 1, number, FOLLOWED).await?;
    depart(stage, &[number]);
    stage.ready(&[1]).await.context("the others go on")
}
