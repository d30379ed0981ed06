//! What stories of several regions have in common: who is where, the links between regions, what a region has of a
//! namespace, and the last look at everything.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::traffic::Stage;
use crate::cluster::{Control, Fate};
use crate::judge::copies::{self, Content};
use crate::judge::residency::{inspect_disks, inspect_groups};

/// Regions of these stories.
pub(super) const REGIONS: usize = 3;
/// Nodes of each region.
pub(super) const NODES: usize = 3;
/// The delay of a message between two regions at its worst.
pub(super) const FAR: Duration = Duration::from_millis(300);
/// Share of the messages between regions that is lost at its worst.
pub(super) const LOSS: f64 = 0.01;
/// The delay of a message while nothing is wrong.
pub(super) const NEAR: Duration = Duration::from_millis(1);
/// By how much the clocks of all nodes step with each look, in milliseconds: less than nodes put up with.
const AHEAD_MILLISECONDS: i64 = 25_000;
/// Pause between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// The region of a node.
pub(super) const fn region_of(number: usize) -> usize {
    (number - 1) / NODES + 1
}

/// The nodes of a region.
pub(super) fn nodes_of(region: usize) -> Vec<usize> {
    (1..=REGIONS * NODES).filter(|number| region_of(*number) == region).collect()
}

/// All nodes.
pub(super) fn everybody() -> Vec<usize> {
    (1..=REGIONS * NODES).collect()
}

/// All pairs of nodes in different regions.
fn between(control: &Control) -> Vec<(String, String)> {
    let pair = |one: usize| (one + 1..=control.nodes()).map(move |other| (one, other));
    let pairs = (1..=control.nodes()).flat_map(pair).filter(|(one, other)| region_of(*one) != region_of(*other));
    pairs.map(|(one, other)| (Control::host(one), Control::host(other))).collect()
}

/// Messages between regions take so long, and so many are lost.
pub(super) async fn links(control: &Control, delay: Duration, loss: f64) {
    control.trace.note(&format!("between regions: {delay:?}, {loss} lost"));
    for (one, other) in between(control) {
        control
            .outside(move |simulation| {
                simulation.set_link_fail_rate(one.as_str(), other.as_str(), loss);
                simulation.set_link_latency(one.as_str(), other.as_str(), delay);
            })
            .await;
    }
}

/// Cuts a region off, or mends that.
pub(super) fn cut(control: &Control, region: usize, cut: bool) {
    control.trace.note(&format!("region {region}: {}", if cut { "cut off" } else { "connected" }));
    for own in nodes_of(region) {
        for other in (1..=control.nodes()).filter(|other| region_of(*other) != region) {
            if cut {
                turmoil::partition(Control::host(own), Control::host(other));
            } else {
                turmoil::repair(Control::host(own), Control::host(other));
            }
        }
    }
}

/// Nothing comes from a region to another one, or does again.
pub(super) fn one_way(control: &Control, from: usize, to: usize, cut: bool) {
    control.trace.note(&format!("from region {from} to {to}: {}", if cut { "cut" } else { "mended" }));
    for one in nodes_of(from) {
        for other in nodes_of(to) {
            if cut {
                turmoil::partition_oneway(Control::host(one), Control::host(other));
            } else {
                turmoil::repair_oneway(Control::host(one), Control::host(other));
            }
        }
    }
}

/// A region loses its power, or has it back and serves.
pub(super) async fn power(stage: &Stage, region: usize, on: bool) -> Result<()> {
    let fate = if on { Fate::Start } else { Fate::PowerLoss };
    for number in nodes_of(region) {
        stage.control.fate(number, fate).await;
    }
    if on {
        stage.ready(&nodes_of(region)).await.with_context(|| format!("region {region} is back"))?;
    }
    Ok(())
}

/// What the catalog of a node has of a namespace.
pub(super) async fn content(stage: &Stage, number: usize, prefix: &str) -> Result<Content> {
    let prefix = prefix.to_owned();
    let looked = stage.control.order(number, move |node| Box::pin(async move { Content::of(node, &prefix) }));
    looked.await??.with_context(|| format!("node {number} has no catalog"))
}

/// Waits until a copy of a namespace has what its home has. Accuses when it takes longer than `patience`.
pub(super) async fn converge(
    stage: &Stage,
    prefix: &str,
    (home, copy): (usize, usize),
    deletes: bool,
    patience: Duration,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let there = content(stage, nodes_of(home)[0], prefix).await?;
        let here = content(stage, nodes_of(copy)[1], prefix).await?;
        let Some(difference) = there.differs(&here, deletes) else {
            ensure!(!there.is_empty(), "{prefix} is empty at home");
            stage
                .note(&format!("the copy of {prefix} in region {copy} is whole after {} s", begun.elapsed().as_secs()));
            return Ok(());
        };
        if begun.elapsed() > patience {
            let text =
                format!("after {patience:?} the copy of {prefix} in region {copy} is not like its home in {home}");
            stage.control.court.accuse(copies::JUDGE, format!("{text}: {difference}"));
            bail!(text);
        }
        sleep(LOOK).await;
    }
}

/// Waits until no catalog and no disk of a region has anything of a namespace, whose layers are full of a mark. What left
/// waits for readers that may still have it open: the clients rest, and the clocks run ahead.
pub(super) async fn left(stage: &Stage, region: usize, prefix: &str, mark: &[u8], patience: Duration) -> Result<()> {
    stage.pause(true).await?;
    let begun = Instant::now();
    let mut known = nodes_of(region);
    loop {
        let mut rests = Vec::new();
        while let Some(number) = known.last().copied() {
            if !content(stage, number, prefix).await?.is_empty() {
                rests.push(format!("the catalog of node {number}"));
                break;
            }
            known.pop();
        }
        rests.extend(nodes_of(region).into_iter().flat_map(|number| files_with(&stage.control, number, mark)));
        if rests.is_empty() {
            stage.note(&format!("{prefix} has left region {region} after {} s", begun.elapsed().as_secs()));
            return stage.pause(false).await;
        }
        if begun.elapsed() > patience {
            let text = format!("after {patience:?} region {region} still has something of {prefix}: {rests:?}");
            stage.control.court.accuse("residency", text.clone());
            bail!(text);
        }
        if known.is_empty() {
            for number in everybody() {
                stage.control.computer(number).clock().step_milliseconds(AHEAD_MILLISECONDS);
            }
        }
        sleep(LOOK).await;
    }
}

/// Files of a node's disks that have these bytes in them.
pub(super) fn files_with(control: &Control, number: usize, bytes: &[u8]) -> Vec<String> {
    let computer = control.computer(number);
    let disks = computer.data_disks().into_iter().chain([computer.system_disk().clone()]);
    disks.flat_map(|disk| disk.files_with(bytes)).map(|path| format!("{} of node {number}", path.display())).collect()
}

/// Looks through all disks and groups for pinned content of other regions.
pub(super) async fn inspect_everywhere(control: &Control) -> Result<()> {
    for number in everybody() {
        inspect_disks(control, number, region_of(number), REGIONS);
        let court = control.court.clone();
        let looked = control.order(number, move |node| {
            Box::pin(async move { inspect_groups(&court, number, node, region_of(number), REGIONS) })
        });
        looked.await?.with_context(|| format!("looking into node {number}"))?;
    }
    Ok(())
}
