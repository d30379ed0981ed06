//! Clients that push and pull while nodes and disks come and go, and blobs to compare with afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cluster::{Cluster, Node};
use crate::content;
use crate::registry::Registry;
use crate::wait::eventually;

/// How long a client may be without progress.
const PROGRESS: Duration = Duration::from_mins(1);
/// Where all content goes.
pub const REPOSITORY: &str = "lifecycle/content";
/// Lengths of blobs, in turn.
pub const LENGTHS: [usize; 4] = [1_700_000, 5_000, 300_000, 900_000];

/// A blob: its digest and its bytes.
pub type Blob = (String, Bytes);

/// Pushes so many blobs.
///
/// # Errors
/// When one is not acknowledged.
pub async fn push(registry: &Registry, seed: u64, count: usize) -> Result<Vec<Blob>> {
    let mut blobs = Vec::new();
    for number in 0..count {
        let bytes = content::bytes(seed + number as u64, LENGTHS[number % LENGTHS.len()]);
        blobs.push((registry.push_blob(REPOSITORY, &bytes).await?, bytes));
    }
    Ok(blobs)
}

/// Pulls all and compares every byte.
///
/// # Errors
/// When one cannot be pulled, or has other bytes.
pub async fn check(registry: &Registry, blobs: &[Blob]) -> Result<()> {
    for (digest, bytes) in blobs {
        ensure!(registry.blob(REPOSITORY, digest).await? == *bytes, "{digest}: other bytes");
    }
    Ok(())
}

/// A client that pushes a blob and pulls one, again and again, with the retries that real ones make.
#[derive(Debug)]
pub struct Client {
    stop: Arc<AtomicBool>,
    pushed: Arc<AtomicUsize>,
    task: JoinHandle<Result<Vec<Blob>>>,
}

/// What is tried again.
#[derive(Clone, Copy)]
enum Request<'a> {
    Push(&'a Bytes),
    Pull(&'a Blob),
}

impl Client {
    /// Begins, on the nodes that there are now.
    #[must_use]
    pub fn start(cluster: &Cluster, seed: u64) -> Self {
        let nodes: Vec<Registry> = cluster.nodes().iter().map(Node::registry).collect();
        let (stop, pushed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(work(nodes, seed, Arc::clone(&stop), Arc::clone(&pushed)));
        Self { stop, pushed, task }
    }

    /// Waits until it has pushed so many more.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_for(&self, more: usize) -> Result<()> {
        let target = self.pushed.load(Ordering::Relaxed) + more;
        eventually("the client makes progress", PROGRESS, async || {
            let pushed = self.pushed.load(Ordering::Relaxed);
            // An end before it was told so is an error, which is shown when it is finished.
            ensure!(pushed >= target || self.task.is_finished(), "{pushed} of {target} blobs");
            Ok(Some(()))
        })
        .await
    }

    /// Ends it; what it has pushed.
    ///
    /// # Errors
    /// When it has seen one that it could not hide by ordinary retries.
    pub async fn finish(self) -> Result<Vec<Blob>> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

#[expect(clippy::print_stderr, reason = "the number of retries is a result")]
async fn work(nodes: Vec<Registry>, seed: u64, stop: Arc<AtomicBool>, pushed: Arc<AtomicUsize>) -> Result<Vec<Blob>> {
    let (mut blobs, mut retries): (Vec<Blob>, Vec<String>) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let number = blobs.len();
        let bytes = content::bytes(seed + number as u64, LENGTHS[number % LENGTHS.len()]);
        let digest = with_retries(&nodes, number, Request::Push(&bytes), &mut retries).await?;
        blobs.push((digest, bytes));
        let pulled = &blobs[number * 7 % blobs.len()];
        with_retries(&nodes, number + 1, Request::Pull(pulled), &mut retries).await?;
        pushed.fetch_add(1, Ordering::Relaxed);
    }
    let refused = retries.iter().filter(|reason| reason.contains("tcp connect error")).count();
    eprintln!(
        "{} blobs pushed, as many pulled, {} retries, {refused} of them at a dead node",
        blobs.len(),
        retries.len()
    );
    retries.iter().filter(|reason| !reason.contains("tcp connect error")).for_each(|reason| eprintln!("  {reason}"));
    Ok(blobs)
}

/// Tries at one node after another, with the pauses of Docker's client and the like. Other bytes, and an answer that a
/// client takes for final, are not tried again.
async fn with_retries(
    nodes: &[Registry],
    first: usize,
    request: Request<'_>,
    retries: &mut Vec<String>,
) -> Result<String> {
    let mut pause = Duration::from_millis(250);
    for attempt in 0..6 {
        let node = &nodes[(first + attempt) % nodes.len()];
        let answer = match request {
            Request::Push(bytes) => node.push_blob(REPOSITORY, bytes).await,
            Request::Pull((digest, _)) => node.blob(REPOSITORY, digest).await.map(|_| digest.clone()),
        };
        let reason = match answer {
            Ok(digest) => return Ok(digest),
            Err(error) => format!("{error:#}"),
        };
        ensure!(!reason.contains("answer is 4") && !reason.contains("the bytes have digest"), "{reason}");
        retries.push(reason);
        sleep(pause).await;
        pause *= 2;
    }
    bail!("six attempts failed: {:#?}", &retries[retries.len() - 6..])
}
