//! Clients push and pull while ten thousand manifests are deleted and collected: none of their requests fails, and what
//! they wait for is reported, with and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tests::cluster::{Cluster, Node, Settings};
use tests::image::{self, Blob, Image, Recipe};
use tests::operator::{query, run};
use tests::registry::Registry;
use tests::wait::eventually;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Manifests that go.
const MANIFESTS: u64 = 10_000;
/// Requests under way while they are made.
const AT_ONCE: usize = 32;
/// How long the clients work undisturbed first.
const CALM: Duration = Duration::from_secs(10);
/// How long it may take until all is deleted and collected: debug builds of three nodes on two cores.
const COLLECTION: Duration = Duration::from_mins(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_ten_thousand_manifests_to_go() {
    let keys = vec![("garbage.reader_grace_seconds".to_owned(), "0".to_owned())];
    let mut cluster = Cluster::start_with(3, Settings { keys, ..Settings::default() }).await.unwrap();
    let data = cluster.node(0).data().to_owned();
    let registry = cluster.registry();
    // What the deleted images and the living ones share.
    let shared = Recipe::new(1).layers(2, 50_000).build().unwrap();
    for repository in ["old/many", "live/client-0", "live/client-1"] {
        shared.push(&registry, repository, "base").await.unwrap();
    }
    let begin = Instant::now();
    stream::iter(0..MANIFESTS)
        .map(|number| push_variant(&registry, &shared, number))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await
        .unwrap();
    eprintln!("{MANIFESTS} manifests pushed in {:.1?}", begin.elapsed());

    let clients = Clients::start(&cluster);
    sleep(CALM).await;
    let calm = clients.finish().await.unwrap();

    let clients = Clients::start(&cluster);
    run(&data, &["namespace", "set", "/", "--grace", "0s", "--restore", "0s", "--untagged", "collect=0s"])
        .await
        .unwrap();
    run(&data, &["namespace", "set", "live", "--grace", "1h", "--untagged", "keep"]).await.unwrap();
    let begin = Instant::now();
    run(&data, &["delete", "old/many", "--tags", "*", "--wait"]).await.unwrap();
    eprintln!("deleted in {:.1?}", begin.elapsed());
    eventually("everything is collected", COLLECTION, async || {
        let status = registry.get("/v2/old/many/tags/list").await?.status;
        ensure!(status == 404, "tags/list: {status}");
        let garbage = query(&data, &["gc", "status"]).await?;
        ensure!(garbage["due"] == 0 && garbage["discards"] == 0, "{garbage}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    eprintln!("collected {:.1?} after the command", begin.elapsed());
    let busy = clients.finish().await.unwrap();
    calm.report("without");
    busy.report("while");
    for node in cluster.nodes() {
        shared.check(&node.registry(), "live/client-0", "base").await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// One of the images that go: the shared layers and, every tenth, a configuration of its own.
async fn push_variant(registry: &Registry, shared: &Image, number: u64) -> Result<()> {
    let mut config = shared.blobs[0].clone();
    if number.is_multiple_of(10) {
        config = Blob::new(
            image::CONFIG,
            json!({ "architecture": "amd64", "os": "linux", "number": number }).to_string().into(),
        );
        registry.push_blob("old/many", &config.bytes).await?;
    }
    let layers: Vec<_> = shared.blobs[1..].iter().map(Blob::descriptor).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": image::MANIFEST, "config": config.descriptor(), "layers": layers,
        "annotations": { "number": number.to_string() },
    });
    let bytes = manifest.to_string().into();
    registry.put_manifest("old/many", &format!("t{number}"), image::MANIFEST, &bytes).await?.expect(201)?;
    Ok(())
}

/// How long pushes and pulls took.
#[derive(Debug, Default)]
struct Times {
    pushes: Vec<Duration>,
    pulls: Vec<Duration>,
}

impl Times {
    #[expect(clippy::print_stderr, reason = "the figures are a result")]
    fn report(mut self, when: &str) {
        for (what, times) in [("pushes", &mut self.pushes), ("pulls", &mut self.pulls)] {
            times.sort();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100];
            eprintln!("{when} collecting: {} {what}, p50 {:.1?}, p99 {:.1?}", times.len(), at(50), at(99));
        }
    }
}

/// Clients that push an image of their own and pull one, again and again, through one node after the other. An error of
/// any request ends them.
struct Clients {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<Times>>,
}

impl Clients {
    fn start(cluster: &Cluster) -> Self {
        let nodes: Vec<Registry> = cluster.nodes().iter().map(Node::registry).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..2).map(|number| work(nodes.clone(), number, Arc::clone(&stop))).collect();
        Self { stop, tasks }
    }

    async fn finish(self) -> Result<Times> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Times::default();
        for times in self.tasks.join_all().await {
            let times = times?;
            all.pushes.extend(times.pushes);
            all.pulls.extend(times.pulls);
        }
        ensure!(!all.pushes.is_empty(), "the clients did nothing");
        Ok(all)
    }
}

async fn work(nodes: Vec<Registry>, client: u64, stop: Arc<AtomicBool>) -> Result<Times> {
    let repository = format!("live/client-{client}");
    let mut times = Times::default();
    let (mut at, mut round) = (usize::try_from(client)?, 0);
    while !stop.load(Ordering::Relaxed) {
        let node = &nodes[at % nodes.len()];
        let image = Recipe::new(1000 * (client + 1) + round % 50).build()?;
        let tag = format!("r{}", round % 50);
        let begin = Instant::now();
        image.push(node, &repository, &tag).await?;
        times.pushes.push(begin.elapsed());
        let node = &nodes[(at + 1) % nodes.len()];
        let begin = Instant::now();
        image.check(node, &repository, &tag).await?;
        times.pulls.push(begin.elapsed());
        at += 1;
        round += 1;
    }
    Ok(times)
}
