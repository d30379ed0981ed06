//! A third of a node's shards rots unread. Its scrub finds each of them, counts them right, and they are rebuilt: a second
//! scrub finds nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use node::admin::Admin;
use node::scrub::{Findings, ScrubState};

use super::act::{RECOVERY, bytes, pull_blob, push_image};
use super::operator::until;
use super::watched;
use crate::cluster::Control;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

const NODES: usize = 3;
/// The node whose disk rots.
const ROTTEN: usize = 2;
/// Layers that are pushed: each has a shard on every node.
const LAYERS: usize = 12;
const LAYER_BYTES: usize = 150_000;
/// Longest time of a scrub, and of the repair.
const PATIENCE: Duration = Duration::from_mins(10);
const REPOSITORY: &str = "library/rot";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn bit_rot_is_scrubbed(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    watched(seed, NODES, court).run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    let layers: Vec<_> = (0..LAYERS).map(|number| bytes(seed, &format!("layer {number}"), LAYER_BYTES)).collect();
    for (number, layer) in layers.iter().enumerate() {
        push_image(&control, 1, REPOSITORY, &format!("tag-{number}"), layer).await?;
    }
    let disk = control.computer(ROTTEN).data_disks()[0].clone();
    let shards = disk.shard_files();
    ensure!(shards.len() >= LAYERS, "node {ROTTEN} has only {} shards", shards.len());
    let rotten: Vec<_> = shards.iter().step_by(3).collect();
    let mut random = seed.stream("rot");
    for path in &rotten {
        control.trace.note(&disk.rot(path, &mut random)?);
    }
    let found = scrub(&control).await.context("the first scrub")?;
    ensure!(
        (found.bad(), found.corrupt) == (rotten.len() as u64, rotten.len() as u64),
        "{} of {} shards have rotted, the scrub found {found:?}",
        rotten.len(),
        shards.len()
    );
    control.redundant(1, PATIENCE).await.context("what has rotted is rebuilt")?;
    let found = scrub(&control).await.context("the second scrub")?;
    ensure!(found == Findings::default(), "all was rebuilt, the scrub found {found:?}");
    for layer in &layers {
        for number in 1..=NODES {
            pull_blob(&control, number, REPOSITORY, layer).await?;
        }
    }
    Ok(())
}

/// Scrubs the node's disk on command, and returns what was found.
async fn scrub(control: &Control) -> Result<Findings> {
    let begun = finished(control).await?;
    let order = control.order(ROTTEN, |node| {
        Box::pin(async move { Admin::clone(node.admin()).scrub.start(&[]).map_err(|error| error.to_string()) })
    });
    order.await?.map_err(anyhow::Error::msg)?;
    until(PATIENCE, "the end of the scrub", || async { finished(control).await.is_ok_and(|now| now.0 > begun.0) })
        .await?;
    Ok(finished(control).await?.1)
}

/// When the last forced pass was over, and what it found.
async fn finished(control: &Control) -> Result<(u64, Findings)> {
    let order = control.order(ROTTEN, |node| {
        Box::pin(async move {
            let disks = node.admin().scrub.status();
            let rested = disks.into_iter().filter(|disk| disk.state == ScrubState::Resting);
            let last = rested.filter_map(|disk| disk.last).filter(|pass| pass.forced);
            last.map(|pass| (pass.finished_milliseconds, pass.found)).next().unwrap_or_default()
        })
    });
    order.await
}
