//! Limits that hold: memory whatever the size, a full disk, malformed input of all kinds, slow and broken clients, and
//! nothing left over from any of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use reqwest::Method;
use tests::cluster::{Cluster, Settings};
use tests::content::{self, Content};
use tests::image;
use tests::raw::Connection;
use tests::registry::{Registry, send};
use tests::small_disk::SmallDisk;
use tests::wait::eventually;
use tests::{damage, digest, process};
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
/// The most memory that a node may ever use for one transfer.
const MEMORY_BOUND: u64 = 200 * MIB;
/// The same for a hundred at a time.
const CROWD_MEMORY_BOUND: u64 = 512 * MIB;

/// Peak memory of the nodes, the largest of them.
fn peak(cluster: &Cluster) -> Result<u64> {
    let peaks: Result<Vec<u64>> = cluster.nodes().iter().map(tests::cluster::Node::peak_memory_bytes).collect();
    peaks?.into_iter().max().context("a node")
}

/// Pushes through node 1, pulls through node 2 and 3; the peak of memory so far.
async fn push_and_pull(cluster: &Cluster, size: u64) -> Result<u64> {
    let content = Content::new(size, size);
    let digest = content.digest();
    cluster.node(0).registry().push_content("limits/large", &content, &digest).await?;
    for node in &cluster.nodes()[1..] {
        node.registry().check_content("limits/large", &content, &digest).await?;
    }
    peak(cluster)
}

/// The peak of memory is a constant, whatever the blob's size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_blob() {
    compare_sizes(64 * MIB, 512 * MIB).await.unwrap();
}

/// The same with 1 GiB and 10 GiB. Takes some 30 GiB of disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes 30 GiB of disk and many minutes"]
async fn memory_does_not_grow_up_to_ten_gibibytes() {
    compare_sizes(1024 * MIB, 10 * 1024 * MIB).await.unwrap();
}

#[expect(clippy::print_stderr, reason = "the figures are wanted")]
async fn compare_sizes(small: u64, large: u64) -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let with_small = push_and_pull(&cluster, small).await?;
    let with_large = push_and_pull(&cluster, large).await?;
    eprintln!(
        "peak memory: {} MiB with {} MiB, {} MiB with {} MiB",
        with_small / MIB,
        small / MIB,
        with_large / MIB,
        large / MIB
    );
    assert!(with_large < MEMORY_BOUND, "{} MiB", with_large / MIB);
    assert!(with_large < with_small + 48 * MIB, "memory grows with the blob: {with_small} and {with_large}");
    cluster.check_sound()
}

/// A hundred pushes at a time stay bounded, and all succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_pushes_stay_bounded() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registry = cluster.registry();
    let pushes = (0..100).map(|seed| {
        let registry = registry.clone();
        async move {
            let content = Content::new(900 + seed, 4 * MIB);
            let digest = content.digest();
            registry.push_content("limits/crowd", &content, &digest).await?;
            registry.check_content("limits/crowd", &content, &digest).await
        }
    });
    try_join_all(pushes).await.unwrap();
    let peak = peak(&cluster).unwrap();
    assert!(peak < CROWD_MEMORY_BOUND, "{} MiB", peak / MIB);
    cluster.check_sound().unwrap();
}

/// The disk fills up: uploads are refused at POST with a clear code before the reserve is touched, what is stored is
/// served, and the node restarts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_uploads_and_loses_nothing() {
    const SIZE: u64 = 384 * MIB;
    const RESERVE_PERCENT: u64 = 20;
    let Some(disk) = SmallDisk::mount(SIZE).unwrap() else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let keys = vec![("storage.reserve_percent".to_owned(), RESERVE_PERCENT.to_string())];
    let settings = Settings { keys, data: Some(disk.path().join("data")), ..Settings::default() };
    let mut cluster = Cluster::start_with(1, settings).await.unwrap();
    let registry = cluster.registry();
    let mut stored = Vec::new();
    let refusal = loop {
        let bytes = content::bytes(1000 + stored.len() as u64, 8 << 20);
        let path = "/v2/limits/full/blobs/uploads/";
        let answer = registry.upload(Method::POST, path, Bytes::new()).await.unwrap();
        if answer.status != 202 {
            break answer;
        }
        let location = tests::registry::path_of(answer.need("location").unwrap());
        let digest = digest::sha256(&bytes);
        // The body that crosses the line may be refused in the middle; the next POST is refused at once.
        let answer = registry.finish(&location, &digest, bytes.clone()).await.unwrap();
        match answer.status {
            201 => stored.push((digest, bytes)),
            507 | 503 => {}
            other => panic!("{other}: {}", answer.text()),
        }
        assert!(stored.len() < 100, "the disk never fills");
    };
    assert!(refusal.status == 507 || refusal.status == 503, "{}: {}", refusal.status, refusal.text());
    if refusal.status == 503 {
        refusal.need("retry-after").unwrap();
    }
    assert!(refusal.json().unwrap()["errors"][0]["code"].is_string(), "{}", refusal.text());
    assert!(stored.len() > 10, "{} blobs of 8 MiB on 384 MiB", stored.len());
    // Metadata may go into the reserve, blobs may not.
    let free = disk.free_bytes().unwrap();
    assert!(free > SIZE * RESERVE_PERCENT / 100 * 3 / 4, "the reserve was touched: {} MiB are free", free / MIB);
    for (digest, bytes) in &stored {
        assert!(registry.blob("limits/full", digest).await.unwrap() == *bytes);
    }
    let status = cluster.node(0).status_text().await.unwrap();
    assert!(status.contains("full") || status.contains("refused"), "status does not speak of the full disk:\n{status}");
    cluster.node_mut(0).kill().unwrap();
    cluster.node_mut(0).restart().await.unwrap();
    for (digest, bytes) in &stored {
        assert!(registry.blob("limits/full", digest).await.unwrap() == *bytes);
    }
    cluster.check_sound().unwrap();
}

/// Names, digests, references, ranges and bodies that are none: each has its code, and nothing is a 5xx.
#[tokio::test]
async fn malformed_input_has_the_right_code() {
    let mut cluster = Cluster::start(1).await.unwrap();
    let registry = cluster.registry();
    let long = "a".repeat(300);
    let names = ["UPPER", "-a", "a-", "a..b", "a//b", "a/./b", "a___b", "%2e%2e/x", "a%20b", "a%00b", "%ff%fe", &long];
    for name in names {
        // By hand: a client library tidies `./` and `%2e%2e/` up before it asks.
        let mut connection = Connection::open(cluster.node(0).address()).await.unwrap();
        for request in ["GET /v2/NAME/tags/list", "GET /v2/NAME/manifests/v1", "POST /v2/NAME/blobs/uploads/"] {
            let request = request.replace("NAME", name);
            connection.send(format!("{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
            let head = connection.head().await.unwrap();
            assert!([400, 404].contains(&head.status), "{request}: {}", head.status);
            let length = head.header("content-length").unwrap().parse().unwrap();
            let body = connection.body(length).await.unwrap();
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        }
    }
    for reference in ["-v1", ".v1", "a%20b", "v1%00", &"t".repeat(129), "sha256:xyz", "sha1:abcd", "md5:0", "%C3%A9"] {
        let path = format!("/v2/limits/bad/manifests/{reference}");
        let answer = registry.upload(Method::PUT, &path, Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(answer.status, 400, "{reference}: {}", answer.text());
        let answer = registry.get(&path).await.unwrap();
        assert!([400, 404].contains(&answer.status), "{reference}: {}", answer.status);
    }
    malformed_manifests(&registry).await.unwrap();
    malformed_ranges(&registry).await.unwrap();
    malformed_mounts(&registry).await.unwrap();
    cluster.check_sound().unwrap();
}

async fn malformed_manifests(registry: &Registry) -> Result<()> {
    let deep = "[".repeat(100_000);
    let many = format!("{{\"schemaVersion\":2,\"layers\":[{}{{}}]}}", "{},".repeat(1000));
    let bodies: [&str; 12] = [
        "",
        "{",
        "null",
        "[]",
        "\"text\"",
        "{\"schemaVersion\":1}",
        "{\"schemaVersion\":2,\"config\":7}",
        "{\"schemaVersion\":2,\"config\":{\"digest\":\"nope\",\"size\":1,\"mediaType\":\"a/b\"},\"layers\":[]}",
        "{\"schemaVersion\":2,\"layers\":{}}",
        "{\"schemaVersion\":2,\"subject\":{\"digest\":\"sha256:x\"}}",
        &deep,
        &many,
    ];
    for body in bodies {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let answer = registry.put_manifest("limits/bad", "v1", image::MANIFEST, &bytes).await?;
        let start: String = body.chars().take(60).collect();
        ensure!(answer.status == 400, "{start}: {} {}", answer.status, answer.text());
    }
    // Not UTF-8, and a media type in the body that is not the header's.
    let binary = Bytes::from_static(b"\xff\xfe{}");
    registry.put_manifest("limits/bad", "v1", image::MANIFEST, &binary).await?.expect(400)?;
    let image = image::Recipe::new(1100).build()?;
    image.push(registry, "limits/bad", "good").await?;
    let answer = registry.put_manifest("limits/bad", "v1", image::INDEX, &image.manifest.bytes).await?;
    answer.expect_error(400, "MANIFEST_INVALID")?;
    registry.manifest("limits/bad", "v1").await?.expect(404)?;
    Ok(())
}

async fn malformed_ranges(registry: &Registry) -> Result<()> {
    let location = registry.start_upload("limits/bad").await?;
    for range in ["x", "5", "5-", "-5", "9-3", "bits 0-9/10", "0-99999999999999999999999", "0-1-2", "-1--1", ""] {
        let request = registry.request(Method::PATCH, &location).header("Content-Range", range).body("0123456789");
        let answer = send(request).await?;
        ensure!([400, 416].contains(&answer.status), "{range:?}: {} {}", answer.status, answer.text());
    }
    // A range that does not have the body's length.
    let request = registry.request(Method::PATCH, &location).header("Content-Range", "0-99").body("0123456789");
    let answer = send(request).await?;
    ensure!([400, 416].contains(&answer.status), "another length: {} {}", answer.status, answer.text());
    assert_eq!(registry.get(&location).await?.expect(204)?.need("range")?, "0-0");
    registry.delete(&location).await?.expect(204)?;
    Ok(())
}

async fn malformed_mounts(registry: &Registry) -> Result<()> {
    for query in ["mount=nope&from=a", "digest=nope", "mount=&from=", "digest=sha256:%zz", "digest-algorithm=md5"] {
        let path = format!("/v2/limits/bad/blobs/uploads/?{query}");
        let answer = registry.upload(Method::POST, &path, Bytes::new()).await?;
        ensure!([202, 400].contains(&answer.status), "{query}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// What is no HTTP, or HTTP of the wrong kind: refused or closed, and the node goes on.
#[tokio::test]
async fn malformed_http_is_refused() {
    let mut cluster = Cluster::start(1).await.unwrap();
    let address = cluster.node(0).address();
    let huge = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(5000));
    let long_path = format!("GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a/".repeat(100_000));
    let texts: [&str; 10] = [
        "\r\n\r\n\r\n\r\n",
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &huge,
        &many,
        &long_path,
    ];
    for text in texts {
        let mut connection = Connection::open(address).await.unwrap();
        // The node may close while we still send, and may go on waiting for a request after what is none yet.
        if connection.send(text).await.is_ok()
            && let Ok(Ok(head)) = timeout(Duration::from_secs(3), connection.head()).await
        {
            let start: String = text.chars().take(60).collect();
            assert!((200..500).contains(&head.status), "{start}: {}", head.status);
        }
    }
    cluster.registry().get("/v2/").await.unwrap().expect(401).unwrap();
    cluster.check_sound().unwrap();
}

/// Bodies that are cut off commit nothing of the request, and the session goes on where it was; cancelled sessions
/// leave neither open files nor shard files, but those that the catalog keeps on its list for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_bodies_leave_nothing_behind() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registry = cluster.registry();
    registry.push_blob("limits/cut", &content::bytes(1200, 700_000)).await.unwrap();
    let count = |cluster: &Cluster| -> Result<usize> {
        let counts: Result<Vec<usize>> =
            cluster.nodes().iter().map(|node| Ok(damage::shard_files(node.data())?.len())).collect();
        Ok(counts?.into_iter().sum())
    };
    let (files, open) = (count(&cluster).unwrap(), process::open_files(cluster.node(0).id().unwrap()).unwrap());
    for round in 0..20_u64 {
        let bytes = content::bytes(1210 + round, 2_000_000);
        let location = registry.start_upload("limits/cut").await.unwrap();
        let kept = usize::try_from(round % 3).unwrap() * 300_000;
        let location = if kept > 0 { registry.patch(&location, bytes.slice(..kept)).await.unwrap() } else { location };
        let mut connection = Connection::open(cluster.node(0).address()).await.unwrap();
        let rest = &bytes[kept..];
        let head = if round % 2 == 0 {
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", rest.len())
        } else {
            // A chunk that is longer than what follows.
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", rest.len())
        };
        connection.send(&head).await.unwrap();
        connection.send(&rest[..1_000_000]).await.unwrap();
        drop(connection);
        let expected = format!("0-{}", kept.saturating_sub(1));
        let status = registry.get(&location).await.unwrap().expect(204).unwrap();
        assert_eq!(status.need("range").unwrap(), expected, "round {round}");
        if round % 4 == 0 {
            // The session goes on; compare what a client that resumes ends up with.
            let location = registry.patch(&location, bytes.slice(kept..)).await.unwrap();
            assert_eq!(registry.get(&location).await.unwrap().need("range").unwrap(), "0-1999999");
        }
        registry.delete(&location).await.unwrap().expect(204).unwrap();
    }
    eventually("each shard file is accounted for", Duration::from_mins(1), async || {
        let metrics = cluster.node(0).metrics().await?;
        ensure!(metrics.sum(&["regnode_catalog_uploads"])? == 0.0, "sessions are left");
        // What was committed and then cancelled is unlinked after ten minutes; each of these sets has a shard per node.
        let discarded = metrics.sum(&["regnode_catalog_discards"])?;
        let (now, known) = (count(&cluster)? - files, 3.0 * discarded);
        ensure!(f64::from(u32::try_from(now)?) <= known, "{now} more shard files, of which {known} are to be unlinked");
        Ok(Some(()))
    })
    .await
    .unwrap();
    eventually("files and sockets are closed", Duration::from_mins(1), async || {
        let now = process::open_files(cluster.node(0).id()?)?;
        ensure!(now <= open + 16, "{now} open files instead of {open}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    cluster.check_sound().unwrap();
}

/// A client that stops sending is cut off after the configured time, its session stays, and others are served
/// meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off_and_hinder_nobody() {
    let keys = vec![("api.idle_body_timeout_seconds".to_owned(), "2".to_owned())];
    let mut cluster = Cluster::start_with(1, Settings { keys, ..Settings::default() }).await.unwrap();
    let registry = cluster.registry();
    let address = cluster.node(0).address();
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let location = registry.start_upload("limits/slow").await.unwrap();
        let mut connection = Connection::open(address).await.unwrap();
        connection
            .send(format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly the start"))
            .await
            .unwrap();
        stalled.push((location, connection));
    }
    // Half a request line, and nothing at all.
    let mut idle = Vec::new();
    for text in ["GET /v2/ HT", ""].iter().cycle().take(50) {
        let mut connection = Connection::open(address).await.unwrap();
        connection.send(text).await.unwrap();
        idle.push(connection);
    }
    let bytes = content::bytes(1300, 3_000_000);
    let digest = registry.push_blob("limits/slow", &bytes).await.unwrap();
    assert_eq!(registry.blob("limits/slow", &digest).await.unwrap(), bytes);
    for (location, mut connection) in stalled {
        if let Ok(head) = connection.head().await {
            assert!([400, 408].contains(&head.status), "{}", head.status);
        }
        assert_eq!(registry.get(&location).await.unwrap().expect(204).unwrap().need("range").unwrap(), "0-0");
        registry.delete(&location).await.unwrap().expect(204).unwrap();
    }
    cluster.check_sound().unwrap();
}

/// A slow but steady client succeeds, although its body takes longer than the idle limit.
#[tokio::test]
async fn slow_but_steady_clients_succeed() {
    let keys = vec![("api.idle_body_timeout_seconds".to_owned(), "2".to_owned())];
    let mut cluster = Cluster::start_with(1, Settings { keys, ..Settings::default() }).await.unwrap();
    let registry = cluster.registry();
    let bytes = content::bytes(1310, 4000);
    let location = registry.start_upload("limits/steady").await.unwrap();
    let mut connection = Connection::open(cluster.node(0).address()).await.unwrap();
    let digest = digest::sha256(&bytes);
    let target = tests::registry::with_query(&location, &format!("digest={digest}"));
    connection.send(format!("PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n")).await.unwrap();
    // The pace is what is tested here: ten parts over four seconds.
    let mut pace = tokio::time::interval(Duration::from_millis(400));
    for part in bytes.chunks(400) {
        pace.tick().await;
        connection.send(part).await.unwrap();
    }
    assert_eq!(connection.head().await.unwrap().status, 201);
    assert_eq!(registry.blob("limits/steady", &digest).await.unwrap(), bytes);
    cluster.check_sound().unwrap();
}

/// Clients that go away in the middle of a pull, or do not read, cost nothing that lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_that_break_off_leave_nothing_behind() {
    let mut cluster = Cluster::start(1).await.unwrap();
    let registry = cluster.registry();
    let bytes = content::bytes(1320, 30_000_000);
    let digest = registry.push_blob("limits/pull", &bytes).await.unwrap();
    let process = cluster.node(0).id().unwrap();
    let open = process::open_files(process).unwrap();
    for _ in 0..100 {
        let mut connection = Connection::open(cluster.node(0).address()).await.unwrap();
        let path = tests::registry::blob_path("limits/pull", &digest);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        assert_eq!(connection.head().await.unwrap().status, 200);
        connection.body(1000).await.unwrap();
    }
    eventually("files and sockets are closed", Duration::from_mins(1), async || {
        let now = process::open_files(process)?;
        ensure!(now <= open + 16, "{now} open files instead of {open}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    let peak = cluster.node(0).peak_memory_bytes().unwrap();
    assert!(peak < MEMORY_BOUND, "{} MiB", peak / MIB);
    assert_eq!(registry.blob("limits/pull", &digest).await.unwrap(), bytes);
    cluster.check_sound().unwrap();
}
