//! A node loses all its disks, takes its place again as a new one, and clients go on meanwhile: everything that was
//! acknowledged before, while it was away and while it joined is readable through every node, the new one included. Seeds
//! wipe a node rarely.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::act::{RECOVERY, bytes, client, pull_image};
use super::watched;
use crate::cluster::{Control, Fate};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

/// Which node is wiped.
const WIPED: usize = 2;
/// How long it is away.
const AWAY: Duration = Duration::from_secs(5);
/// How long clients go on before, and after it is back.
const LOAD: Duration = Duration::from_secs(3);
/// Pause of a client between two pushes.
const PAUSE: Duration = Duration::from_millis(500);
/// Lengths of the layers, in turn: in the catalog itself, and coded.
const LENGTHS: [usize; 3] = [500, 80_000, 150_000];
const REPOSITORY: &str = "library/app";

/// An image whose push was acknowledged.
struct Acknowledged {
    tag: String,
    manifest: Bytes,
    layer: Bytes,
}

/// What the clients share.
#[derive(Clone, Default)]
struct Load {
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    stopped: Arc<AtomicBool>,
}

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn wiped_node_rejoins(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    watched(seed, 3, court).run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    let load = Load::default();
    let clients: Vec<_> = (1..=control.nodes())
        .map(|number| tokio::spawn(push_on(control.clone(), seed, number, load.clone())))
        .collect();
    sleep(LOAD).await;
    control.fate(WIPED, Fate::PowerLoss).await;
    control.fate(WIPED, Fate::Wipe).await;
    sleep(AWAY).await;
    let before = load.count();
    control.fate(WIPED, Fate::Start).await;
    control.ready(&[1, 2, 3], RECOVERY).await.context("the wiped node is back")?;
    let during = load.count();
    sleep(LOAD).await;
    load.stopped.store(true, Ordering::Relaxed);
    join_all(clients).await;

    let acknowledged = std::mem::take(&mut *load.acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
    control.trace.note(&format!("{before}, {during}, {} images were acknowledged", acknowledged.len()));
    ensure!(before < during && during < acknowledged.len(), "clients went on while the node joined, and after that");
    for number in 1..=control.nodes() {
        for Acknowledged { tag, manifest, layer } in &acknowledged {
            let pulled = pull_image(&control, number, REPOSITORY, tag, manifest, layer).await;
            pulled.with_context(|| format!("{tag} through node {number}"))?;
        }
    }
    Ok(())
}

impl Load {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Pushes one image after the other through a node. What fails is not acknowledged.
async fn push_on(control: Control, seed: Seed, number: usize, load: Load) {
    for (image, length) in (0..).zip(LENGTHS.into_iter().cycle()) {
        if load.stopped.load(Ordering::Relaxed) {
            return;
        }
        let tag = format!("image-{number}-{image}");
        let layer = bytes(seed, &tag, length);
        if let Ok(manifest) = client(&control, number).push_image(REPOSITORY, &tag, &layer).await {
            let mut acknowledged = load.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
            acknowledged.push(Acknowledged { tag, manifest, layer });
        }
        sleep(PAUSE).await;
    }
}
