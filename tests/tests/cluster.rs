//! Three nodes: any serves any request, one may die at any time, all may lose power, and nothing acknowledged is lost.
//!
//! Each test has a cluster of its own, since it breaks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tests::cluster::Cluster;
use tests::content::{self, Content};
use tests::digest;
use tests::image::{self, Compression, Image, Recipe};
use tests::raw::Connection;
use tests::registry::{Registry, with_query};
use tests::wait::eventually;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The longest that a request may take while a leader is replaced.
const TAKEOVER: Duration = Duration::from_secs(10);
/// How long background work may take to restore the redundancy of a few megabytes.
const RESTORE: Duration = Duration::from_mins(1);

/// Pushed through node 1, pulled through 2 and 3, byte-identical.
#[tokio::test]
async fn what_one_node_takes_all_nodes_serve() {
    let mut cluster = Cluster::start(3).await.unwrap();
    for (seed, compression) in [(1, Compression::Gzip), (2, Compression::Zstd), (3, Compression::Plain)] {
        let image = Recipe::new(seed).layers(4, 1_500_000).compression(compression).build().unwrap();
        image.push(&cluster.node(0).registry(), "cluster/image", &format!("v{seed}")).await.unwrap();
        for node in cluster.nodes() {
            image.check(&node.registry(), "cluster/image", &format!("v{seed}")).await.unwrap();
        }
    }
    cluster.check_sound().unwrap();
}

/// Any node is killed while a push runs through another: pulls and pushes go on at once, that push included; a new
/// leader takes over; the killed node returns, catches up and serves what it missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_node_may_die() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let before = Recipe::new(10).layers(3, 1_000_000).build().unwrap();
    before.push(&cluster.registry(), "cluster/survives", "before").await.unwrap();
    for victim in 0..3 {
        let survivors = [(victim + 1) % 3, (victim + 2) % 3];
        let registries = survivors.map(|number| cluster.node(number).registry());

        // A push that is in the middle of its body when the node dies.
        let running = Content::new(100 + victim as u64, 24 << 20);
        let digest = running.digest();
        let halfway = Arc::new(Barrier::new(2));
        let push = tokio::spawn(push_with_pause(registries[0].clone(), running.clone(), Arc::clone(&halfway)));
        halfway.wait().await;
        cluster.node_mut(victim).kill().unwrap();
        halfway.wait().await;

        let begin = Instant::now();
        let missed = Recipe::new(20 + victim as u64).layers(2, 700_000).build().unwrap();
        before.check(&registries[1], "cluster/survives", "before").await.unwrap();
        let tag = format!("missed-{victim}");
        missed.push(&registries[1], "cluster/survives", &tag).await.unwrap();
        missed.check(&registries[0], "cluster/survives", &tag).await.unwrap();
        assert!(begin.elapsed() < TAKEOVER, "pulls and pushes stood still for {:?}", begin.elapsed());
        push.await.unwrap().unwrap();
        registries[1].check_content("cluster/running", &running, &digest).await.unwrap();
        cluster.node(survivors[0]).wait_led(TAKEOVER).await.unwrap();

        cluster.node_mut(victim).restart().await.unwrap();
        let returned = cluster.node(victim).registry();
        missed.check(&returned, "cluster/survives", &tag).await.unwrap();
        before.check(&returned, "cluster/survives", "before").await.unwrap();
        returned.check_content("cluster/running", &running, &digest).await.unwrap();
        cluster.wait_redundant(RESTORE).await.unwrap();
        cluster.check_sound().unwrap();
    }
}

/// Pushes with one PATCH whose body stops in the middle until the other side of the barrier has acted.
async fn push_with_pause(registry: Registry, content: Content, halfway: Arc<Barrier>) -> Result<()> {
    let digest = content.digest();
    let location = patch_with_pause(&registry, "cluster/running", &content, halfway).await?;
    registry.finish(&location, &digest, Bytes::new()).await?.expect(201)?;
    Ok(())
}

/// A PATCH that stops in the middle until the other side of the barrier has acted; the next location.
async fn patch_with_pause(
    registry: &Registry,
    repository: &str,
    content: &Content,
    halfway: Arc<Barrier>,
) -> Result<String> {
    let frames: Vec<Bytes> = content.frames().collect();
    let middle = frames.len() / 2;
    let body = futures_util::stream::unfold((0, frames), move |(number, frames)| {
        let halfway = Arc::clone(&halfway);
        async move {
            if number == middle {
                halfway.wait().await;
                halfway.wait().await;
            }
            let frame = frames.get(number)?.clone();
            Some((Ok::<_, std::io::Error>(frame), (number + 1, frames)))
        }
    });
    let location = registry.start_upload(repository).await?;
    registry.patch(&location, reqwest::Body::wrap_stream(body)).await
}

/// With one node dead, what is pushed is as safe as ever: it survives the death of the next one, once the first is back.
#[tokio::test]
async fn pushes_to_a_degraded_cluster_are_brought_to_full_redundancy() {
    let mut cluster = Cluster::start(3).await.unwrap();
    cluster.node_mut(2).kill().unwrap();
    let image = Recipe::new(30).layers(3, 1_200_000).build().unwrap();
    image.push(&cluster.node(0).registry(), "cluster/degraded", "v1").await.unwrap();
    let status = cluster.node(0).status().await.unwrap();
    assert!(status.under_replicated().unwrap() > 0, "a degraded write is recorded: {status}");
    cluster.node_mut(2).restart().await.unwrap();
    cluster.wait_redundant(RESTORE).await.unwrap();
    for victim in [0, 1, 2] {
        cluster.node_mut(victim).kill().unwrap();
        let registry = cluster.node((victim + 1) % 3).registry();
        image.check(&registry, "cluster/degraded", "v1").await.unwrap();
        cluster.node_mut(victim).restart().await.unwrap();
        cluster.wait_whole().await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// Two of three dead: no quorum, so pushes are refused with 503 and Retry-After and nothing is pretended; they go on
/// when one returns.
#[tokio::test]
async fn without_a_quorum_pushes_are_refused_clearly() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let bytes = content::bytes(31, 500_000);
    let digest = cluster.registry().push_blob("cluster/quorum", &bytes).await.unwrap();
    cluster.node_mut(1).kill().unwrap();
    cluster.node_mut(2).kill().unwrap();
    let registry = cluster.node(0).registry();
    let answer =
        registry.upload(reqwest::Method::POST, "/v2/cluster/quorum/blobs/uploads/", Bytes::new()).await.unwrap();
    let answer = answer.expect_error(503, "UNAVAILABLE").unwrap();
    answer.need("retry-after").unwrap();
    cluster.node_mut(1).restart().await.unwrap();
    eventually("the cluster takes pushes again", TAKEOVER * 2, async || {
        registry.start_upload("cluster/quorum").await.map(Some)
    })
    .await
    .unwrap();
    assert_eq!(registry.blob("cluster/quorum", &digest).await.unwrap(), bytes);
    cluster.check_sound().unwrap();
}

/// What was acknowledged while writers ran, and what they tried.
#[derive(Default)]
struct Ledger {
    acknowledged: Vec<(String, Image)>,
    tried: Vec<(String, Image)>,
}

/// All nodes die at any moment: afterwards everything acknowledged is there, and nothing half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_may_die_at_any_moment() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let mut ledger = Ledger::default();
    for round in 0..4_u64 {
        let mut writers = JoinSet::new();
        let acknowledgements = Arc::new(AtomicU64::new(0));
        for writer in 0..3_u64 {
            let registry = cluster.node(usize::try_from(writer).unwrap()).registry();
            writers.spawn(write_until_refused(registry, round * 10 + writer, Arc::clone(&acknowledgements)));
        }
        // Kills at another count each round, so that other moments are hit.
        let target = 3 + 4 * round;
        eventually("writers make progress", Duration::from_mins(1), async || {
            Ok((acknowledgements.load(Ordering::Relaxed) >= target).then_some(()))
        })
        .await
        .unwrap();
        cluster.kill_all().unwrap();
        while let Some(part) = writers.join_next().await {
            let part = part.unwrap();
            ledger.acknowledged.extend(part.acknowledged);
            ledger.tried.extend(part.tried);
        }
        cluster.restart_all().await.unwrap();
        let registry = cluster.registry();
        for (tag, image) in &ledger.acknowledged {
            image.check(&registry, "cluster/power", tag).await.unwrap();
        }
        for (tag, image) in &ledger.tried {
            check_whole_or_absent(&registry, tag, image).await.unwrap();
        }
    }
    assert!(ledger.acknowledged.len() >= 12);
    cluster.check_sound().unwrap();
}

async fn write_until_refused(registry: Registry, writer: u64, acknowledgements: Arc<AtomicU64>) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0.. {
        let seed = 10_000 + writer * 1000 + number;
        let layer_bytes = 30_000 + 200_000 * (usize::try_from(number).unwrap_or(0) % 4);
        let Ok(image) = Recipe::new(seed).layers(2, layer_bytes).build() else { break };
        let tag = format!("w{writer}-{number}");
        if image.push(&registry, "cluster/power", &tag).await.is_ok() {
            ledger.acknowledged.push((tag, image));
            acknowledgements.fetch_add(1, Ordering::Relaxed);
        } else {
            ledger.tried.push((tag, image));
            break;
        }
    }
    ledger
}

/// A push that was never acknowledged may be there or not: but a tag has its whole image, and a blob all its bytes.
async fn check_whole_or_absent(registry: &Registry, tag: &str, image: &Image) -> Result<()> {
    let answer = registry.manifest("cluster/power", tag).await?;
    if answer.status == 200 {
        return image.check(registry, "cluster/power", tag).await;
    }
    answer.expect(404)?;
    for blob in &image.blobs {
        let answer = registry.get(&tests::registry::blob_path("cluster/power", &blob.digest)).await?;
        ensure!(
            answer.status == 404 || (answer.status == 200 && answer.body == blob.bytes),
            "{}: {} with {} bytes",
            answer.request,
            answer.status,
            answer.body.len()
        );
    }
    Ok(())
}

/// POST on node 1, PATCH on node 2, node 1 dies, PATCH and PUT on node 3.
#[tokio::test]
async fn an_upload_moves_from_node_to_node_and_survives_its_first() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registries: Vec<Registry> = cluster.nodes().iter().map(tests::cluster::Node::registry).collect();
    for length in [3_000_usize, 5_000_000] {
        let bytes = content::bytes(40, length);
        let location = registries[0].start_upload("cluster/moving").await.unwrap();
        let location = registries[1].patch(&location, bytes.slice(..length / 3)).await.unwrap();
        cluster.node_mut(0).kill().unwrap();
        let status = registries[2].get(&location).await.unwrap().expect(204).unwrap();
        assert_eq!(status.need("range").unwrap(), format!("0-{}", length / 3 - 1));
        let location = registries[2].patch(&location, bytes.slice(length / 3..length / 2)).await.unwrap();
        let digest = digest::sha256(&bytes);
        registries[2].finish(&location, &digest, bytes.slice(length / 2..)).await.unwrap().expect(201).unwrap();
        assert_eq!(registries[1].blob("cluster/moving", &digest).await.unwrap(), bytes);
        cluster.node_mut(0).restart().await.unwrap();
        assert_eq!(registries[0].blob("cluster/moving", &digest).await.unwrap(), bytes);
        cluster.wait_whole().await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// A tag moved through one node is read through another at once, a thousand times in a row, while others push.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_tag_is_seen_everywhere_at_once() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registries: Vec<Registry> = cluster.nodes().iter().map(tests::cluster::Node::registry).collect();
    let mut images = Vec::new();
    for seed in 50..53 {
        let image = Recipe::new(seed).build().unwrap();
        image.push(&registries[0], "cluster/tag", &image.manifest.digest).await.unwrap();
        images.push(image);
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for (writer, registry) in registries.iter().cloned().enumerate() {
        let over = Arc::clone(&over);
        load.spawn(async move {
            for seed in 0.. {
                if over.load(Ordering::Relaxed) {
                    return Ok(seed);
                }
                let bytes = content::bytes(60_000 + 1000 * writer as u64 + seed, 300_000);
                registry.push_blob("cluster/load", &bytes).await?;
            }
            anyhow::Ok(0)
        });
    }
    for round in 0..1000_usize {
        let image = &images[round % images.len()];
        let (writer, reader) = (&registries[round % 3], &registries[(round / 3 + 1 + round) % 3]);
        let bytes = &image.manifest.bytes;
        writer.put_manifest("cluster/tag", "latest", image::MANIFEST, bytes).await.unwrap().expect(201).unwrap();
        let answer = reader.manifest("cluster/tag", "latest").await.unwrap().expect(200).unwrap();
        assert_eq!(answer.need("docker-content-digest").unwrap(), image.manifest.digest, "round {round}");
    }
    over.store(true, Ordering::Relaxed);
    while let Some(pushed) = load.join_next().await {
        assert!(pushed.unwrap().unwrap() > 0, "there was load");
    }
    cluster.check_sound().unwrap();
}

/// A client that timed out on one node repeats its PATCH on another while the first still writes: the right bytes, or
/// a clear error.
#[tokio::test]
async fn a_repeated_chunk_on_another_node_never_mixes_bytes() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registries: Vec<Registry> = cluster.nodes().iter().map(tests::cluster::Node::registry).collect();
    for round in 0..6_u64 {
        let bytes = content::bytes(70 + round, 3_000_000);
        let digest = digest::sha256(&bytes);
        let location = registries[0].start_upload("cluster/repeat").await.unwrap();
        let location = registries[0].patch(&location, bytes.slice(..1_000_000)).await.unwrap();
        // The first try hangs in the middle of its body.
        let rest = bytes.slice(1_000_000..);
        let mut first = Connection::open(cluster.node(1).address()).await.unwrap();
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nContent-Range: 1000000-2999999\r\n\r\n",
            rest.len()
        );
        first.send(&head).await.unwrap();
        first.send(&rest[..1_200_000]).await.unwrap();
        // In odd rounds it goes on while the second is under way, in even ones after it.
        let request = registries[2]
            .request(reqwest::Method::PATCH, &location)
            .header("Content-Range", "1000000-2999999")
            .body(rest.clone());
        let (second, first_status) = if round % 2 == 0 {
            let second = tests::registry::send(request).await.unwrap();
            (second, finish_first(&mut first, &rest).await)
        } else {
            tokio::join!(async { tests::registry::send(request).await.unwrap() }, finish_first(&mut first, &rest))
        };
        let accepted = [second.status, first_status].iter().filter(|status| **status == 202).count();
        assert!(accepted >= 1, "neither was accepted: {} and {first_status}", second.status);
        for status in [second.status, first_status] {
            assert!([202, 404, 409, 416].contains(&status), "an unclear answer: {status}");
        }
        let put = registries[0].finish(&location, &digest, Bytes::new()).await.unwrap().expect(201);
        put.with_context(|| format!("round {round}: {} and {first_status}", second.status)).unwrap();
        for registry in &registries {
            assert_eq!(registry.blob("cluster/repeat", &digest).await.unwrap(), bytes);
        }
    }
    cluster.check_sound().unwrap();
}

/// Sends the rest of the first try; its status, which may come early.
async fn finish_first(connection: &mut Connection, rest: &Bytes) -> u16 {
    // The node may have given the request up already: then the status is there to read.
    let _ = connection.send(&rest[1_200_000..]).await;
    connection.head().await.map_or(416, |head| head.status)
}

/// A repeated PUT on another node, after the first node died before its answer arrived.
#[tokio::test]
async fn a_put_whose_answer_was_lost_is_repeated_elsewhere() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registries: Vec<Registry> = cluster.nodes().iter().map(tests::cluster::Node::registry).collect();
    let bytes = content::bytes(80, 2_000_000);
    let digest = digest::sha256(&bytes);
    let location = registries[0].start_upload("cluster/lost").await.unwrap();
    let location = registries[0].patch(&location, bytes.clone()).await.unwrap();
    let mut first = Connection::open(cluster.node(0).address()).await.unwrap();
    let target = with_query(&location, &format!("digest={digest}"));
    first.send(format!("PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    cluster.node_mut(0).kill().unwrap();
    registries[1].finish(&location, &digest, Bytes::new()).await.unwrap().expect(201).unwrap();
    assert_eq!(registries[2].blob("cluster/lost", &digest).await.unwrap(), bytes);
    cluster.check_sound().unwrap();
}

/// Stopped in order, a node finishes the push that runs through it and ends with success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_finishes_what_is_in_flight() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let content = Content::new(90, 16 << 20);
    let digest = content.digest();
    let halfway = Arc::new(Barrier::new(2));
    let (registry, sent, pause) = (cluster.node(2).registry(), content.clone(), Arc::clone(&halfway));
    let push = tokio::spawn(async move { patch_with_pause(&registry, "cluster/drain", &sent, pause).await });
    halfway.wait().await;
    let (stopped, ()) = tokio::join!(cluster.node_mut(2).stop(), async {
        halfway.wait().await;
    });
    stopped.unwrap();
    let location = push.await.unwrap().unwrap();
    let registry = cluster.node(0).registry();
    registry.finish(&location, &digest, Bytes::new()).await.unwrap().expect(201).unwrap();
    registry.check_content("cluster/drain", &content, &digest).await.unwrap();
    cluster.node_mut(2).restart().await.unwrap();
    cluster.node(2).registry().check_content("cluster/drain", &content, &digest).await.unwrap();
    cluster.check_sound().unwrap();
}

/// `regnode dev --nodes 3`: one command, three processes; one is killed, the others serve; ctrl-c ends all.
#[tokio::test]
async fn dev_runs_a_cluster_of_three_processes() {
    let folder = tempfile::TempDir::new().unwrap();
    let ports = tests::ports::reserve_run(3).unwrap();
    let log = folder.path().join("dev.log");
    let command = tests::command::dev(&folder.path().join("data"), 3, ports[0].address()).unwrap();
    let mut dev = tests::process::Process::start(command, &log).unwrap();
    let text = eventually("all nodes serve", Duration::from_secs(90), async || {
        ensure!(dev.ended()?.is_none(), "ended: {}", dev.log_tail(4000));
        let text = dev.log_tail(u64::MAX);
        Ok(text.contains("all 3 nodes serve").then_some(text))
    })
    .await
    .unwrap();
    let nodes: Vec<(String, u32)> = text.lines().filter_map(parse_node).collect();
    assert_eq!(nodes.len(), 3, "{text}");
    for (node, port) in nodes.iter().zip(&ports) {
        assert_eq!(node.0, format!("http://{}", port.address()));
    }
    let registry = Registry::new(&nodes.iter().map(|node| node.0.clone()).collect::<Vec<_>>());
    registry.start_upload("dev/image").await.expect_err("nobody gets in without the password");
    let password = std::fs::read_to_string(folder.path().join("data/operator-password")).unwrap();
    assert!(text.contains(password.trim()), "the password is shown: {text}");
    let registry = registry.logged_in(tests::cluster::OPERATOR, password.trim());
    let image = Recipe::new(95).layers(2, 500_000).build().unwrap();
    image.push(&registry, "dev/image", "v1").await.unwrap();
    let victim = rustix::process::Pid::from_raw(i32::try_from(nodes[0].1).unwrap()).unwrap();
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).unwrap();
    for number in [1, 2] {
        image.check(&registry.only(number), "dev/image", "v1").await.unwrap();
    }
    dev.signal(rustix::process::Signal::INT).unwrap();
    eventually("ctrl-c ends it", Duration::from_mins(1), async || dev.ended()).await.unwrap();
    for (_, process) in &nodes[1..] {
        assert!(tests::process::cpu_seconds(*process).is_err(), "process {process} is left over");
    }
}

/// URL and process id from a line like `node 1  http://127.0.0.1:5000  pid 1234  …`.
fn parse_node(line: &str) -> Option<(String, u32)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [first, _number, url, mark, process, ..] = words.as_slice() else { return None };
    (*first == "node" && *mark == "pid").then_some(())?;
    Some(((*url).to_owned(), process.parse().ok()?))
}
