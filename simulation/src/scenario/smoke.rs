//! The smoke scenario: three nodes, a push, a partition, a crash and restart, a power loss of all, pulls in between.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rand::RngCore;

use crate::cluster::{Control, Fate, World};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::Direct;
use crate::workload::content::digest;

/// Nodes of the cluster.
const NODES: usize = 3;
/// Longest virtual time of the run.
const LIMIT: Duration = Duration::from_mins(10);
/// Longest virtual time until nodes serve again.
const RECOVERY: Duration = Duration::from_mins(1);
const REPOSITORY: &str = "library/smoke";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn smoke(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    World::quiet(seed, NODES, LIMIT).run(trace, court, move |control| story(control, seed))
}

fn client(control: &Control, number: usize) -> Direct {
    Direct::new(&control.surroundings(), number)
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;

    let first = layer(seed, "first", 300_000);
    let manifest = client(&control, 1).push_image(REPOSITORY, "first", &first).await.context("push through node 1")?;
    for number in 1..=NODES {
        pulls(&control, number, "first", &manifest, &first).await?;
    }

    // A minority can neither push nor answer for a tag; the majority goes on.
    control.isolate(3, true);
    let second = layer(seed, "second", 200_000);
    let manifest = retried(&control, 1, "second", &second).await.context("push through the majority")?;
    pulls(&control, 2, "second", &manifest, &second).await?;
    let alone = client(&control, 3).pull_manifest(REPOSITORY, "second").await;
    ensure!(alone.is_err(), "an isolated node answered for a tag that it cannot know");
    control.isolate(3, false);
    control.ready(&[1, 2, 3], RECOVERY).await.context("node 3 is back")?;
    pulls(&control, 3, "second", &manifest, &second).await?;
    control.redundant(1, RECOVERY).await.context("degraded writes are coded anew")?;

    // The process of a node dies while the others go on.
    control.fate(2, Fate::Crash).await;
    let third = layer(seed, "third", 150_000);
    let manifest = retried(&control, 3, "third", &third).await.context("push while node 2 is down")?;
    pulls(&control, 1, "third", &manifest, &third).await?;
    control.fate(2, Fate::Start).await;
    control.ready(&[1, 2, 3], RECOVERY).await.context("node 2 is back")?;
    pulls(&control, 2, "third", &manifest, &third).await?;

    // Power goes everywhere at once: what was acknowledged is there afterwards.
    for number in 1..=NODES {
        control.fate(number, Fate::PowerLoss).await;
    }
    for number in 1..=NODES {
        control.fate(number, Fate::Start).await;
    }
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster is back after a power loss of all")?;
    for number in 1..=NODES {
        pulls(&control, number, "third", &manifest, &third).await?;
        pulls_layer(&control, number, &first).await?;
        pulls_layer(&control, number, &second).await?;
    }
    Ok(())
}

/// Pushes with the retry rules of ordinary clients: a leader may just have been lost.
async fn retried(control: &Control, number: usize, tag: &str, layer: &Bytes) -> Result<Bytes> {
    const TRIES: usize = 5;
    let mut last = None;
    for _ in 0..TRIES {
        match client(control, number).push_image(REPOSITORY, tag, layer).await {
            Ok(manifest) => return Ok(manifest),
            Err(error) => {
                control.trace.note(&format!("a push is tried again: {error:#}"));
                last = Some(error);
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    last.map_or_else(|| Err(anyhow::anyhow!("no try was made")), Err)
}

async fn pulls(control: &Control, number: usize, tag: &str, manifest: &Bytes, layer: &Bytes) -> Result<()> {
    let got = client(control, number).pull_manifest(REPOSITORY, tag).await?;
    ensure!(got == *manifest, "node {number} served another manifest for {tag}");
    pulls_layer(control, number, layer).await
}

async fn pulls_layer(control: &Control, number: usize, layer: &Bytes) -> Result<()> {
    let wanted = digest(layer);
    let got = client(control, number).pull_blob(REPOSITORY, &wanted).await?;
    ensure!(got == *layer, "node {number} served other bytes for {wanted}");
    control.trace.note(&format!("node {number} served {wanted}"));
    Ok(())
}

/// Bytes that follow from a seed.
fn layer(seed: Seed, name: &str, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    seed.stream(name).fill_bytes(&mut bytes);
    Bytes::from(bytes)
}
