//! Pins the bug that a node answered 500 where the engine of its metadata could not be read (seed 5020; `From<ApplyError>
//! for CatalogError` in `node/src/gateway/catalog.rs`): nothing is wrong with the request, and another node can answer it,
//! so that the answer is 503.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;

use super::act::{RECOVERY, bytes, client, pull_image, push_image};
use super::watched;
use crate::cluster::{Control, Fate};
use crate::disk::{DiskFaults, SimulatedDisk};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::content::digest;
use crate::workload::http::{Answer, Request};

/// Rounds of reads, and of writes, which end the process sooner or later: what cannot be applied stops its replica.
const ROUNDS: [usize; 2] = [60, 30];
/// Share of the reads of the disk that fail then, in percent. The engine's cache answers nine of ten.
const ERRORS_PERCENT: [u8; 2] = [100, 50];
/// What no client has to retry elsewhere: a failure of the server that is said to be the request's.
const INTERNAL: u16 = 500;
const REPOSITORY: &str = "library/app";
const OTHER: &str = "library/other";
/// Whose disk fails.
const FAILING: usize = 2;

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn failing_metadata_disk_is_503(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let mut world = watched(seed, 3, court);
    world.cluster.latency_milliseconds_max = 5;
    world.run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    let layer = bytes(seed, "layer", 200_000);
    let manifest = push_image(&control, 1, REPOSITORY, "tag", &layer).await?;
    let disk = control.computer(FAILING).system_disk().clone();

    let mut seen = Vec::new();
    for round in 0..ROUNDS[0] {
        lose_a_shard(&control)?;
        fails(&disk, ERRORS_PERCENT[0]);
        for request in reads(&layer, &manifest) {
            seen.extend(ask(&control, &request).await?.map(|answer| answer.status));
        }
        restarted(&control, &disk).await.with_context(|| format!("after {round} rounds of reads"))?;
    }
    ensure!(seen.contains(&200) && seen.contains(&503), "the disk is to fail at times: {seen:?}");
    for round in 0..ROUNDS[1] {
        fails(&disk, ERRORS_PERCENT[1]);
        writes(&control, seed, round, &layer).await?;
        restarted(&control, &disk).await.with_context(|| format!("after {round} rounds of writes"))?;
    }
    disk.heal();
    control.ready(&[1, 2, 3], RECOVERY).await?;
    pull_image(&control, FAILING, REPOSITORY, "tag", &manifest, &layer).await
}

/// Loses a shard of another node, unless one is missing already: who does not find it asks the catalog where it is now.
fn lose_a_shard(control: &Control) -> Result<()> {
    let disk = control.computer(FAILING % control.nodes() + 1).data_disks()[0].clone();
    if control.report(1).under_replicated == 0
        && let Some(shard) = disk.shard_files().first()
    {
        disk.lose(shard)?;
    }
    Ok(())
}

fn fails(disk: &SimulatedDisk, percent: u8) {
    disk.set_faults(DiskFaults { read_errors_percent: percent, ..DiskFaults::default() });
}

/// Starts the process again if it has ended by itself.
async fn restarted(control: &Control, disk: &SimulatedDisk) -> Result<()> {
    if control.report(FAILING).ended.is_some() {
        disk.heal();
        control.fate(FAILING, Fate::Crash).await;
        control.fate(FAILING, Fate::Start).await;
        control.ready(&[1, 2, 3], RECOVERY).await?;
    }
    Ok(())
}

/// Sends a request. Nothing comes back from a process that ends; everything else must not be its own failure.
async fn ask(control: &Control, request: &Request) -> Result<Option<Answer>> {
    let Ok(answer) = client(control, FAILING).send(request).await else { return Ok(None) };
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status != INTERNAL, "{} {}: {INTERNAL} {text}", request.method, request.path);
    Ok(Some(answer))
}

/// Everything that is read of metadata, and a blob.
fn reads(layer: &Bytes, manifest: &Bytes) -> Vec<Request> {
    let (layer, manifest) = (digest(layer), digest(manifest));
    let get = |rest: &str| Request::new(Method::GET, format!("/v2/{rest}"));
    let head = |rest: &str| Request::new(Method::HEAD, format!("/v2/{rest}"));
    vec![
        get(&format!("{REPOSITORY}/blobs/{layer}")),
        get(&format!("{REPOSITORY}/blobs/{layer}")).with_header("range", "bytes=70000-150000"),
        head(&format!("{REPOSITORY}/blobs/{layer}")),
        get(&format!("{REPOSITORY}/manifests/tag")),
        head(&format!("{REPOSITORY}/manifests/{manifest}")),
        get(&format!("{REPOSITORY}/manifests/none")),
        get(&format!("{REPOSITORY}/tags/list")),
        get("_catalog"),
        get(&format!("{REPOSITORY}/referrers/{manifest}")),
    ]
}

/// An upload in several requests, a mount, and deletions.
async fn writes(control: &Control, seed: Seed, round: usize, layer: &Bytes) -> Result<()> {
    let content = bytes(seed, &format!("blob {round}"), 150_000);
    let begin = Request::new(Method::POST, format!("/v2/{REPOSITORY}/blobs/uploads/"));
    if let Some(begun) = ask(control, &begin).await?.filter(|answer| answer.status == 202) {
        let location = begun.header("location").to_owned();
        let patch = Request::new(Method::PATCH, location.clone()).with_body(content.clone());
        let patched = ask(control, &patch).await?;
        ask(control, &Request::new(Method::GET, location.clone())).await?;
        let location = patched.map_or(location, |answer| answer.header("location").to_owned());
        let separator = if location.contains('?') { '&' } else { '?' };
        let put = Request::new(Method::PUT, format!("{location}{separator}digest={}", digest(&content)));
        ask(control, &put).await?;
    }
    let mount = format!("/v2/{OTHER}/blobs/uploads/?mount={}&from={REPOSITORY}", digest(layer));
    ask(control, &Request::new(Method::POST, mount)).await?;
    ask(control, &Request::new(Method::DELETE, format!("/v2/{OTHER}/blobs/{}", digest(layer)))).await?;
    ask(control, &Request::new(Method::DELETE, format!("/v2/{REPOSITORY}/manifests/none"))).await?;
    Ok(())
}
