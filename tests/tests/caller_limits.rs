//! Limits of one caller: how often, how many at a time, how fast; and what a crowd of hostile ones from one address can
//! take of a node, which is no more than its share.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tests::access::{self, Closed, until_allowed};
use tests::cluster::{Cluster, Settings};
use tests::image::Recipe;
use tests::raw::Connection;
use tests::registry::{Answer, Registry, blob_path};
use tests::tools::client;
use tests::wait::eventually;
use tests::{content, layout, process};
use tokio::time::{Instant, sleep, timeout};

const MIB: u64 = 1 << 20;
/// The most memory that a node may take for whatever one address does.
const MEMORY_BOUND: u64 = 256 * MIB;
/// Bytes that one identity may have in a second.
const BYTES_PER_SECOND: u64 = 2 * MIB;
/// Requests that one identity, and one address, may send in a second, and five times as many at once.
const REQUESTS: u32 = 8;
const ADDRESS_REQUESTS: u32 = 12;
/// Uploads at a time, likewise.
const UPLOADS: usize = 2;
const ADDRESS_UPLOADS: usize = 3;
/// Requests until one of them has to be refused.
const ASKED_MAX: u32 = 4000;
/// Connections of one address.
const CONNECTIONS: usize = 1024;
/// How long a refusal may take.
const REFUSED_WITHIN: Duration = Duration::from_millis(500);
/// How long it may take until something is given back.
const SOON: Duration = Duration::from_secs(30);

async fn with(keys: &[(&str, String)], closed: bool) -> Result<Cluster> {
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Cluster::start_with(1, Settings { keys, closed, ..Settings::default() }).await
}

#[tokio::test]
async fn callers_get_what_is_theirs_and_come_again_for_more() -> Result<()> {
    let keys = [
        ("limits.requests_per_second", REQUESTS.to_string()),
        ("limits.address_requests_per_second", ADDRESS_REQUESTS.to_string()),
        ("limits.uploads", UPLOADS.to_string()),
        ("limits.address_uploads", ADDRESS_UPLOADS.to_string()),
        ("limits.bytes_per_second", BYTES_PER_SECOND.to_string()),
    ];
    let mut cluster = with(&keys, true).await?;
    let verdict = callers(&cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn callers(cluster: &Cluster) -> Result<()> {
    let folder = TempDir::new()?;
    let closed = Closed::of(cluster);
    let mut users = Vec::new();
    for name in ["ann", "bob", "carl", "dora", "eva", "fred", "gina"] {
        let password = access::add_user(&closed.data, name).await?;
        closed.grant(&format!("user:{name}"), "writer", "shared").await?;
        until_allowed(&closed.data, &format!("user:{name}"), "push", "shared/app").await?;
        users.push((name, password));
    }
    requests(&closed, &users).await?;
    uploads(cluster, &closed, &users).await?;
    bytes(&closed, &users).await?;
    skopeo_waits(cluster, &closed, &users, folder.path()).await
}

type Users = [(&'static str, String)];

/// A user at an address of his own, so that no test takes from another.
fn user(closed: &Closed, users: &Users, number: usize, address: [u8; 4]) -> Registry {
    let (name, password) = &users[number];
    closed.user(name, password).from_address(IpAddr::from(address))
}

/// Sends requests until one is refused, however long the machine takes for them; the refusal's text. A few at a time, so
/// that those which are under way then take next to nothing of what others share.
async fn ask_until_refused(registry: &Registry, status: u16) -> Result<String> {
    let asks = stream::iter(0..ASKED_MAX).map(|_| registry.get("/v2/shared/app/tags/list"));
    let mut asks = asks.buffer_unordered(4);
    while let Some(answer) = asks.next().await {
        let answer = answer?;
        if answer.status == 429 {
            return Ok(refusal(answer)?.text());
        }
        answer.expect(status)?;
    }
    anyhow::bail!("none of {ASKED_MAX} requests was refused")
}

/// An answer that says when to come again.
fn refusal(answer: Answer) -> Result<Answer> {
    let answer = answer.expect_error(429, "TOOMANYREQUESTS")?;
    let wait: u64 = answer.need("retry-after")?.parse()?;
    ensure!((1..=5).contains(&wait), "to wait for {wait} s");
    Ok(answer)
}

/// Sends as many requests side by side, which are answered with this status or refused; how many were refused.
async fn ask(registry: &Registry, status: u16, count: u32) -> Result<u32> {
    let mut refused = 0;
    let asks = stream::iter(0..count).map(|_| registry.get("/v2/shared/app/tags/list"));
    let mut asks = asks.buffer_unordered(16);
    while let Some(answer) = asks.next().await {
        let answer = answer?;
        if answer.status == 429 {
            refusal(answer)?;
            refused += 1;
        } else {
            answer.expect(status)?;
        }
    }
    Ok(refused)
}

async fn requests(closed: &Closed, users: &Users) -> Result<()> {
    // Each counts for himself, at an address that all share.
    let (ann, bob) = (user(closed, users, 0, [127, 0, 0, 2]), user(closed, users, 1, [127, 0, 0, 2]));
    let text = ask_until_refused(&ann, 404).await?;
    ensure!(text.contains("of this identity"), "{text}");
    bob.get("/v2/").await?.expect(200)?;
    // And one address for all of them.
    let bobs = ask(&bob, 404, REQUESTS).await?;
    let text = ask_until_refused(&user(closed, users, 2, [127, 0, 0, 2]), 404).await?;
    ensure!(bobs == 0 && text.contains("of this address"), "{bobs}: {text}");
    user(closed, users, 2, [127, 0, 0, 3]).get("/v2/").await?.expect(200)?;
    // Nobody is somebody at each address.
    let nobody = |address: [u8; 4]| closed.registry.from_address(IpAddr::from(address));
    ask_until_refused(&nobody([127, 0, 0, 4]), 401).await?;
    nobody([127, 0, 0, 3]).get("/v2/").await?.expect(401)?;
    // Whoever waits as he was told is let in.
    eventually("the answer comes after the wait", SOON, async || {
        let answer = ann.get("/v2/").await?;
        if answer.status == 429 {
            sleep(Duration::from_secs(answer.need("retry-after")?.parse()?)).await;
        }
        answer.expect(200).map(Some)
    })
    .await
    .map(drop)
}

/// An upload that has begun, and whose bytes do not come.
async fn stalled(cluster: &Cluster, registry: &Registry, login: &(&str, String)) -> Result<Connection> {
    let location = registry.start_upload("shared/app").await?;
    let basic = STANDARD.encode(format!("{}:{}", login.0, login.1));
    let head =
        format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\nContent-Length: 9\r\n\r\nx");
    eventually("the upload is taken", SOON, async || {
        let mut connection = Connection::open_from([127, 0, 0, 5].into(), cluster.node(0).address()).await?;
        connection.send(&head).await?;
        // The request that has begun it may count a moment longer than its answer takes; who is refused is told at once.
        match timeout(REFUSED_WITHIN, connection.head()).await {
            Err(_elapsed) => Ok(Some(connection)),
            Ok(answer) => anyhow::bail!("it is answered with {}", answer?.status),
        }
    })
    .await
}

async fn uploads(cluster: &Cluster, closed: &Closed, users: &Users) -> Result<()> {
    let address = [127, 0, 0, 5];
    let [(eva, eva_login), (fred, fred_login)] =
        [4, 5].map(|number| (user(closed, users, number, address), &users[number]));
    let begin = "/v2/shared/app/blobs/uploads/";
    let mut held = Vec::new();
    for _ in 0..UPLOADS {
        held.push(stalled(cluster, &eva, eva_login).await?);
    }
    let refused = |registry: Registry, whose: &'static str| async move {
        patiently(&format!("there is no place left of this {whose}"), async || {
            let answer = registry.upload(Method::POST, begin, "").await?.expect_error(429, "TOOMANYREQUESTS")?;
            ensure!(answer.need("retry-after")? == "5" && answer.text().contains(whose), "{}", answer.text());
            Ok(())
        })
        .await
    };
    refused(eva.clone(), "identity").await?;
    // What brings no bytes goes on.
    eva.get("/v2/shared/app/tags/list").await?.expect(404)?;
    held.push(stalled(cluster, &fred, fred_login).await?);
    refused(user(closed, users, 6, address), "address").await?;
    user(closed, users, 6, [127, 0, 0, 6]).upload(Method::POST, begin, "").await?.expect(202)?;
    drop(held);
    patiently("places are given back", async || eva.upload(Method::POST, begin, "").await?.expect(202).map(drop)).await
}

/// Tries again and again, not so often that it is refused for that.
async fn patiently(what: &str, mut attempt: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    eventually(what, SOON, async || {
        let outcome = attempt().await;
        if outcome.is_err() {
            sleep(Duration::from_millis(250)).await;
        }
        outcome.map(Some)
    })
    .await
}

/// Bytes are not refused but slowed down, both ways.
async fn bytes(closed: &Closed, users: &Users) -> Result<()> {
    let registry = user(closed, users, 3, [127, 0, 0, 7]);
    let blob = content::bytes(990, usize::try_from(3 * BYTES_PER_SECOND)?);
    // The first second's worth may come at once.
    let least = Duration::from_millis(1800);
    let started = Instant::now();
    let digest = registry.push_blob("shared/app", &blob).await?;
    ensure!(started.elapsed() > least, "pushed within {:?}", started.elapsed());
    let started = Instant::now();
    ensure!(registry.blob("shared/app", &digest).await? == blob, "other bytes");
    ensure!(started.elapsed() > least, "pulled within {:?}", started.elapsed());
    Ok(())
}

/// A real client heeds what it is told: it waits, and gets all of it.
async fn skopeo_waits(cluster: &Cluster, closed: &Closed, users: &Users, home: &Path) -> Result<()> {
    let image = Recipe::new(991).layers(12, 1000).build()?;
    // The operator is slowed down like everybody.
    let operator = closed.operator().from_address([127, 0, 0, 8].into());
    for blob in &image.blobs {
        patiently("the blob is taken", async || operator.push_blob("shared/skopeo", &blob.bytes).await.map(drop))
            .await?;
    }
    patiently("the manifest is taken", async || {
        let (media, bytes) = (&image.manifest.media, &image.manifest.bytes);
        operator.put_manifest("shared/skopeo", "v1", media, bytes).await?.expect(201).map(drop)
    })
    .await?;
    let (name, password) = &users[3];
    let dora = closed.user(name, password);
    let before = cluster.node(0).metrics().await?.sum(&["refused_requests_total", "requests"])?;
    // She has used up what she may have at once.
    ask(&dora.from_address([127, 0, 0, 10].into()), 200, REQUESTS * 5).await?;
    let between = cluster.node(0).metrics().await?.sum(&["refused_requests_total", "requests"])?;
    let target = home.join("pulled");
    let Some(mut skopeo) = client("skopeo", home)? else { return Ok(()) };
    let from = format!("docker://{}/shared/skopeo:v1", closed.registry.host());
    skopeo.args(["--insecure-policy", "--debug", "copy", "--src-tls-verify=false", "--src-creds"]);
    skopeo.arg(format!("{name}:{password}")).arg(from).arg(format!("oci:{}:v1", target.display()));
    let log = told(skopeo).await?;
    let after = cluster.node(0).metrics().await?.sum(&["refused_requests_total", "requests"])?;
    ensure!(after > between && between >= before, "skopeo was refused nothing: {before} {between} {after}");
    ensure!(log.contains("Too many requests"), "skopeo has not heard of it: {log}");
    layout::check(&target, &image.blobs.iter().chain([&image.manifest]).collect::<Vec<_>>())
}

/// What a command that succeeds writes to its error output.
async fn told(command: Command) -> Result<String> {
    let ended = process::ended(command, Duration::from_mins(1)).await?;
    ensure!(ended.code == Some(0), "it failed: {}", ended.stderr);
    Ok(ended.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_address_takes_its_share_and_no_more() -> Result<()> {
    allow_open_files(CONNECTIONS as u64 * 3 + 512)?;
    let keys = [("api.idle_body_timeout_seconds", "2".to_owned())];
    let mut cluster = with(&keys, false).await?;
    let verdict = hostile(&cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// Lets this process, and the nodes that it starts from now on, have so many files open.
fn allow_open_files(wanted: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or(wanted);
    ensure!(most >= wanted, "{wanted} open files are needed and {most} are allowed at most (ulimit -Hn)");
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })?)
}

async fn hostile(cluster: &Cluster) -> Result<()> {
    let (node, registry) = (cluster.node(0), cluster.registry());
    let blob = content::bytes(992, 20 << 20);
    let digest = registry.push_blob("hostile/app", &blob).await?;
    let open = process::open_files(node.id()?)?;
    heads(cluster).await?;
    crowd(cluster, &registry, open).await?;
    readers(cluster, &digest, open).await?;
    ensure!(registry.blob("hostile/app", &digest).await? == blob, "other bytes");
    let peak = node.peak_memory_bytes()?;
    ensure!(peak < MEMORY_BOUND, "{} MiB", peak / MIB);
    Ok(())
}

/// Heads that are too long, or have too many lines.
async fn heads(cluster: &Cluster) -> Result<()> {
    let long = format!("X-Long: {}\r\n", "x".repeat(200 << 10));
    let many = "X-Many: y\r\n".repeat(101);
    let bearer = format!("Authorization: Bearer {}\r\n", "x".repeat(200 << 10));
    for head in [long, many, bearer] {
        let mut connection = Connection::open(cluster.node(0).address()).await?;
        // It may be refused before all of it was sent.
        let _ = connection.send(format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{head}\r\n")).await;
        if let Ok(answer) = connection.head().await {
            ensure!(answer.status == 431, "{}: {}", &head[..20], answer.status);
        }
        connection.closed().await?;
    }
    Ok(())
}

/// Thousands of connections from one address that say nothing: those above the limit are let go, and everybody else is
/// served as ever.
async fn crowd(cluster: &Cluster, registry: &Registry, open: usize) -> Result<()> {
    let (node, address) = (cluster.node(0).id()?, cluster.node(0).address());
    let opening = (0..CONNECTIONS * 3).map(|_| Connection::open_from([127, 0, 0, 2].into(), address));
    let held = try_join_all(opening).await?;
    eventually("those above the limit are let go", SOON, async || {
        let metrics = cluster.node(0).metrics().await?;
        let refused = metrics.sum(&["refused_connections_total", "reason=\"crowd\""])?;
        // Of some the node has not heard: the system takes only so many that nobody has accepted yet.
        ensure!(refused >= f64::from(u32::try_from(CONNECTIONS / 2)?), "{refused} were let go");
        Ok(Some(()))
    })
    .await?;
    let now = process::open_files(node)?;
    ensure!(now <= open + CONNECTIONS + 32, "{now} open files instead of {open}");
    registry.get("/v2/hostile/app/tags/list").await?.expect(200)?;
    registry.push_blob("hostile/app", &content::bytes(993, 100_000)).await?;
    // One goes, and another one of that address has its place.
    drop(held);
    let again = registry.from_address([127, 0, 0, 2].into());
    eventually("the address is served again", SOON, async || {
        again.get("/v2/hostile/app/tags/list").await?.expect(200).map(Some)
    })
    .await
    .map(drop)
}

/// Those who ask for much and read nothing are ended; what was read for them is given back.
async fn readers(cluster: &Cluster, digest: &str, open: usize) -> Result<()> {
    let node = cluster.node(0).id()?;
    let mut held = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::open(cluster.node(0).address()).await?;
        let path = blob_path("hostile/app", digest);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await?;
        ensure!(connection.head().await?.status == 200, "no blob");
        held.push(connection);
    }
    eventually("those who read nothing are ended", SOON, async || {
        let now = process::open_files(node)?;
        ensure!(now <= open + 16, "{now} open files instead of {open}");
        Ok(Some(()))
    })
    .await
    .context("with their connections open")?;
    drop(held);
    Ok(())
}
