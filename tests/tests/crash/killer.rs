//! Carries a [`Schedule`](crate::schedule::Schedule) out on real processes, and counts.

use anyhow::{Context, Result};
use tests::cluster::Cluster;
use tokio::time::{Instant, sleep, sleep_until};

use crate::schedule::{Blow, Schedule, Step, Victim};

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Processes that were killed.
    pub(crate) kills: usize,
    /// Of them, while they started.
    pub(crate) kills_while_starting: usize,
    /// Times that all processes were killed at once.
    pub(crate) blackouts: usize,
    /// Processes that were frozen.
    pub(crate) freezes: usize,
    /// Processes that were started again.
    pub(crate) restarts: usize,
}

impl Tally {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.kills_while_starting += other.kills_while_starting;
        self.blackouts += other.blackouts;
        self.freezes += other.freezes;
        self.restarts += other.restarts;
    }
}

/// Strikes until `end`; then all processes run, though not all may be ready. `before` sees each step first and may end it.
///
/// # Errors
/// When a process ended by itself, could not be started, or did not get ready when it was left alone; what `before` said.
pub(crate) async fn strike_until(
    end: Instant,
    cluster: &mut Cluster,
    schedule: &mut Schedule,
    mut before: impl FnMut(&Step) -> Result<()>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    for step in schedule {
        sleep_until(end.min(Instant::now() + step.pause)).await;
        if Instant::now() >= end {
            break;
        }
        before(&step)?;
        strike(cluster, &step, &mut tally).await.with_context(|| format!("during the step: {step}"))?;
        if step.recovers {
            wait_ready(cluster).await.with_context(|| format!("after the step: {step}"))?;
        }
    }
    Ok(tally)
}

/// Waits until every node serves.
///
/// # Errors
/// When one does not run or does not get ready.
pub(crate) async fn wait_ready(cluster: &mut Cluster) -> Result<()> {
    for number in 0..cluster.nodes().len() {
        cluster.node_mut(number).wait_ready().await?;
    }
    Ok(())
}

async fn strike(cluster: &mut Cluster, step: &Step, tally: &mut Tally) -> Result<()> {
    // A process that is gone before it is killed would hide its end behind the kill.
    for victim in &step.victims {
        cluster.node_mut(victim.node).check_alive()?;
    }
    if let Blow::Freeze(lasts) | Blow::FreezeAndKill(lasts) = step.blow {
        for victim in &step.victims {
            cluster.node(victim.node).freeze()?;
        }
        tally.freezes += step.victims.len();
        sleep(lasts).await;
    }
    if !step.blow.kills() {
        return step.victims.iter().try_for_each(|victim| cluster.node(victim.node).thaw());
    }
    let numbers: Vec<usize> = step.victims.iter().map(|victim| victim.node).collect();
    cluster.kill_together(&numbers)?;
    tally.kills += numbers.len();
    tally.blackouts += usize::from(numbers.len() == cluster.nodes().len());
    for victim in &step.victims {
        bring_back(cluster, victim, tally).await?;
    }
    Ok(())
}

async fn bring_back(cluster: &mut Cluster, victim: &Victim, tally: &mut Tally) -> Result<()> {
    let node = cluster.node_mut(victim.node);
    sleep(victim.away).await;
    for after in &victim.again {
        start(node, tally)?;
        sleep(*after).await;
        node.check_alive()?;
        node.kill()?;
        tally.kills += 1;
        tally.kills_while_starting += 1;
    }
    start(node, tally)
}

fn start(node: &mut tests::cluster::Node, tally: &mut Tally) -> Result<()> {
    node.serve()?;
    tally.restarts += 1;
    Ok(())
}
