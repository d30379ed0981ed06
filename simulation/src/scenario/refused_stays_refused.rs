//! Pins the bug that a refusal was not remembered, nor was a mount (`raft/src/catalog/apply/once.rs`). A proposal is
//! repeated when its answer does not come. If the first copy is still on its way then, the second one may be refused, and
//! the client told so; the first one, late, must not take effect after that. Nor must a mount be made again that somebody
//! undid meanwhile.
//!
//! What keeps the first copy on its way is a connection that breaks for the gateway, but whose bytes arrive at the leader
//! nevertheless.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;
use tokio::time::sleep;

use super::act::{RECOVERY, bytes, client, is_catalog, leader, push_image};
use super::watched;
use crate::cluster::Control;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::content::digest;
use crate::workload::http::Request;

/// How long a request goes before its connection breaks: it is on its way then.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// In which whatever arrived late has had its effect.
const AFTERMATH: Duration = Duration::from_secs(3);
const REPOSITORY: &str = "library/app";
const OTHER: &str = "library/other";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn refused_stays_refused(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    watched(seed, 3, court).run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    let layer = bytes(seed, "layer", 10_000);
    push_image(&control, 1, REPOSITORY, "first", &layer).await?;
    refused(&control, &layer).await?;
    mounted(&control, &layer).await
}

/// A node that does not lead, a third one, and the leader.
async fn roles(control: &Control) -> Result<(usize, usize, usize)> {
    let leader = leader(control, is_catalog).await?;
    let mut others = (1..=control.nodes()).filter(|number| *number != leader);
    Ok((others.next().context("a follower")?, others.next().context("another follower")?, leader))
}

/// Sends a request to a gateway whose connection with the leader breaks on the way, and demands an answer of this status.
async fn overtaken(control: &Control, gateway: usize, leader: usize, request: Request, status: u16) -> Result<()> {
    let network = control.computer(gateway).network().clone();
    network.keep_back(&Control::host(leader));
    let answer = async { client(control, gateway).expect(&request, status).await };
    let breaks = async {
        sleep(UNDER_WAY).await;
        network.reset_kept_back();
    };
    let (answer, ()) = tokio::join!(answer, breaks);
    answer.map(|_| ())
}

async fn late(control: &Control, gateway: usize) {
    control.trace.note("what was kept back arrives");
    control.computer(gateway).network().let_arrive();
    sleep(AFTERMATH).await;
}

/// A tag is deleted that is not there; then it is pushed.
async fn refused(control: &Control, layer: &Bytes) -> Result<()> {
    let (gateway, other, leader) = roles(control).await?;
    let delete = Request::new(Method::DELETE, format!("/v2/{REPOSITORY}/manifests/second"));
    overtaken(control, gateway, leader, delete, 404).await.context("there is no such tag yet")?;
    let manifest = push_image(control, other, REPOSITORY, "second", layer).await?;
    late(control, gateway).await;
    for number in 1..=control.nodes() {
        let held = client(control, number).pull_manifest(REPOSITORY, "second").await;
        ensure!(held.context("the tag that was pushed is gone")? == manifest, "node {number} has another manifest");
    }
    Ok(())
}

/// A blob is mounted, and the mount is undone.
async fn mounted(control: &Control, layer: &Bytes) -> Result<()> {
    let (gateway, other, leader) = roles(control).await?;
    let digest = digest(layer);
    let mount = Request::new(Method::POST, format!("/v2/{OTHER}/blobs/uploads/?mount={digest}&from={REPOSITORY}"));
    overtaken(control, gateway, leader, mount, 201).await.context("the mount")?;
    let path = format!("/v2/{OTHER}/blobs/{digest}");
    client(control, other).expect(&Request::new(Method::DELETE, path.clone()), 202).await?;
    late(control, gateway).await;
    for number in 1..=control.nodes() {
        client(control, number)
            .expect(&Request::new(Method::HEAD, path.clone()), 404)
            .await
            .context("it was deleted")?;
    }
    Ok(())
}
