//! Pins two bugs of a node whose Raft log cannot be written. Its replicas stopped and its process stayed, without serving
//! anybody ever again: it has to end and say why, so that it is started anew (`Node::failed` in
//! `node/src/start/node.rs`). And until then it answered what was under way with 500, as if the request were at fault:
//! another node takes it, so the answer is 503 (`node/src/gateway/catalog.rs`, `node/src/registry/error.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use http::Method;
use tokio::time::sleep;

use super::act::{RECOVERY, bytes, client, is_catalog, leader, pull_image, push_image};
use super::watched;
use crate::cluster::{Control, Fate};
use crate::disk::DiskFaults;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::http::Request;

/// Longest time until a process ends whose log cannot be written.
const END: Duration = Duration::from_secs(10);
/// Requests through the node at the same time.
const CLIENTS: usize = 12;
const REPOSITORY: &str = "library/app";

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn failed_log_ends_the_process(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    watched(seed, 3, court).run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&[1, 2, 3], RECOVERY).await.context("the cluster comes up")?;
    let layer = bytes(seed, "layer", 1_000);
    let manifest = push_image(&control, 1, REPOSITORY, "tag", &layer).await?;
    for failing in [leader(&control, is_catalog).await?, 1, 2] {
        breaks(&control, failing).await?;
        pull_image(&control, failing, REPOSITORY, "tag", &manifest, &layer).await?;
    }
    Ok(())
}

/// The log of a node fails under requests; it ends, and is started anew once its disk is well.
async fn breaks(control: &Control, failing: usize) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients = (0..CLIENTS).map(|number| {
        let (control, stop) = (control.clone(), Arc::clone(&stop));
        tokio::spawn(async move { ask_on(&control, failing, number, &stop).await })
    });
    let clients: Vec<_> = clients.collect();
    sleep(Duration::from_millis(500)).await;
    let disk = control.computer(failing).system_disk().clone();
    disk.set_faults(DiskFaults { sync_errors_percent: 100, ..DiskFaults::default() });
    let ended = || control.report(failing).ended.is_some();
    control.until(END, "the end of a process whose log cannot be written", ended).await?;
    stop.store(true, Ordering::Relaxed);
    for answered in join_all(clients).await {
        answered??;
    }
    disk.heal();
    control.fate(failing, Fate::Crash).await;
    control.fate(failing, Fate::Start).await;
    control.ready(&[1, 2, 3], RECOVERY).await.context("the node is back")
}

/// Begins uploads and deletes tags through a node, whatever it answers, but for a failure of its own.
async fn ask_on(control: &Control, number: usize, client_number: usize, stop: &AtomicBool) -> Result<()> {
    let begin = Request::new(Method::POST, format!("/v2/{REPOSITORY}/blobs/uploads/"));
    let delete = Request::new(Method::DELETE, format!("/v2/{REPOSITORY}/manifests/none-{client_number}"));
    while !stop.load(Ordering::Relaxed) {
        for request in [&begin, &delete] {
            // A connection that breaks is what the end of a process looks like.
            if let Ok(answer) = client(control, number).send(request).await {
                ensure!(
                    answer.status != 500,
                    "{} {} through node {number}: 500 {}",
                    request.method,
                    request.path,
                    String::from_utf8_lossy(&answer.body)
                );
            }
        }
    }
    Ok(())
}
