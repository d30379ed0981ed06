//! Pins the bug that a dead peer was dialled by each call that wanted it (`CONNECT_PAUSE` in `node/src/peer/limits.rs`).
//! Every read of a tag asks all voters, so that the nodes that were left dialled the dead one thousands of times in a few
//! seconds. It was a wiped one then: a computer is there, and refuses at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::act::{RECOVERY, bytes, client, push_image};
use super::watched;
use crate::cluster::{Control, Fate};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

/// How long the nodes that are left are asked.
const ASKED: Duration = Duration::from_secs(5);
/// Readers at each of them.
const READERS: usize = 4;
/// A node has two kinds of connections to each peer, and dials after a tenth of a second again.
const DIALS_PER_SECOND: u64 = 2 * 10;
/// The other peers, and the new node that takes the place of the dead one.
const DIALS_BESIDE: u64 = 20;
const REPOSITORY: &str = "library/app";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn dead_peer_is_not_stormed(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let mut world = watched(seed, 3, court);
    // A refusal comes at once.
    world.cluster.latency_milliseconds_max = 1;
    world.run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    push_image(&control, 1, REPOSITORY, "tag", &bytes(seed, "layer", 1_000)).await?;
    control.fate(3, Fate::PowerLoss).await;
    control.fate(3, Fate::Wipe).await;
    // The new node has another address; at the one of the dead node nobody listens.
    control.fate(3, Fate::Start).await;
    control.ready(&[1, 2, 3], RECOVERY).await.context("a new node takes its place")?;
    push_image(&control, 1, REPOSITORY, "tag", &bytes(seed, "another", 1_000)).await?;

    let dialled = |number: usize| control.computer(number).network().dialled();
    let before = [dialled(1), dialled(2)];
    let until = Instant::now() + ASKED;
    let readers = (0..2 * READERS).map(|reader| {
        let control = control.clone();
        async move {
            let (number, mut reads) = (reader % 2 + 1, 0_u64);
            while Instant::now() < until {
                client(&control, number).pull_manifest(REPOSITORY, "tag").await?;
                reads += 1;
            }
            Ok::<_, anyhow::Error>(reads)
        }
    });
    let reads: Vec<u64> = join_all(readers).await.into_iter().collect::<Result<_>>()?;
    for (number, before) in [1, 2].into_iter().zip(before) {
        let dials = dialled(number) - before;
        let most = DIALS_PER_SECOND * ASKED.as_secs() + DIALS_BESIDE;
        let text = format!("node {number} dialled {dials} times in {} s, during {reads:?} reads", ASKED.as_secs());
        control.trace.note(&text);
        ensure!(dials <= most, "{text}; {most} times are explained");
    }
    Ok(())
}
