//! Whole nodes on the operating system's sockets and files.

use std::io;
use std::net::TcpListener as Probe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use raft::time::{Clock, Timestamp};
use sha2::{Digest as _, Sha256};
use storage::disk::{DiskError, RealFiles};
use storage::kv::{Batch, Column, Engine, EngineError, EngineOptions, Engines, Pair, RocksEngines, Scan};
use storage::seal::{CheckpointReader, CheckpointWriter, Keys, Seals};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Node, StartError};
use crate::admin::{ConfigAnswer, ErrorAnswer, SOCKET, Status, TokenAnswer, Verdict};
use crate::cluster::{Certificates, InitAccess, SetupError, init, join};
use crate::config::Settings;
use crate::environment::{Environment, Stream, real};

pub(super) const DEADLINE: Duration = Duration::from_mins(1);

pub(super) fn environment() -> Environment {
    real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())))
}

/// A port that is free a moment before a node listens on it.
#[expect(clippy::disallowed_methods, reason = "outside of any environment")]
fn free_port() -> u16 {
    Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) fn settings(data_dir: &Path, name: &str) -> Settings {
    let mut settings = Settings { data_dir: data_dir.join(name), ..Settings::default() };
    settings.node.name = name.to_owned();
    settings.api.listen = "127.0.0.1:0".to_owned();
    settings.peer.listen = format!("127.0.0.1:{}", free_port());
    settings.storage.reserve_percent = 0;
    // How full this machine is is none of the tests' business.
    settings.storage.low_space_percent = 0;
    settings.shutdown.drain_seconds = 5;
    settings
}

pub(super) async fn start(environment: &Environment, settings: &Settings) -> Node {
    let node = Node::start(environment.clone(), settings.clone(), Certificates::Issued).await.unwrap();
    let ready = timeout(DEADLINE, node.wait_ready()).await;
    assert!(ready.is_ok(), "not ready: {:?}", node.readiness());
    node
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: http::HeaderMap,
    pub(super) body: Bytes,
}

pub(super) async fn call(node: &Node, method: Method, path: &str, content_type: &str, body: &[u8]) -> Answer {
    #[expect(clippy::disallowed_methods, reason = "a client of the node, outside of its environment")]
    let stream = TcpStream::connect(node.api_address()).await.unwrap();
    call_over(stream, method, path, content_type, body).await
}

pub(super) async fn call_over(
    stream: impl Stream,
    method: Method,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> Answer {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", content_type)
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let response = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Pseudo-random bytes: they must not look alike from stripe to stripe.
pub(super) fn content(length: usize) -> Vec<u8> {
    let mut output = vec![0; length];
    blake3::Hasher::new().update(b"content").finalize_xof().fill(&mut output);
    output
}

pub(super) async fn push_blob(node: &Node, bytes: &[u8]) -> String {
    let digest = digest(bytes);
    let path = format!("/v2/acme/app/blobs/uploads/?digest={digest}");
    let answer = call(node, Method::POST, &path, "application/octet-stream", bytes).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&answer.body));
    digest
}

pub(super) async fn pull_blob(node: &Node, digest: &str) -> Bytes {
    let answer = call(node, Method::GET, &format!("/v2/acme/app/blobs/{digest}"), "", b"").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
    answer.body
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(super) async fn push_manifest(node: &Node, config: &[u8], layer: &[u8], tag: &str) -> Vec<u8> {
    let (config_digest, layer_digest) = (push_blob(node, config).await, push_blob(node, layer).await);
    let manifest = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len()
        }],
    }))
    .unwrap();
    let answer = call(node, Method::PUT, &format!("/v2/acme/app/manifests/{tag}"), MANIFEST, &manifest).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&answer.body));
    manifest
}

async fn pull_manifest(node: &Node, tag: &str) -> Bytes {
    let answer = call(node, Method::GET, &format!("/v2/acme/app/manifests/{tag}"), "", b"").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_keeps_what_was_pushed_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let settings = settings(directory.path(), "n1");
    let missing = Node::start(environment.clone(), settings.clone(), Certificates::Issued).await;
    assert!(matches!(missing, Err(StartError::NotSetUp(_))), "{missing:?}");
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let again = init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await;
    assert!(matches!(again, Err(SetupError::AlreadySetUp { node: 1, .. })), "{again:?}");

    let node = start(&environment, &settings).await;
    let second = Node::start(environment.clone(), settings.clone(), Certificates::Issued).await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
    let layer = content(3_000_000);
    let manifest = push_manifest(&node, b"{}", &layer, "v1").await;
    assert_eq!(pull_blob(&node, &digest(&layer)).await, layer);

    let readyz = call(&node, Method::GET, "/readyz", "", b"").await;
    assert_eq!((readyz.status, readyz.body.as_ref()), (StatusCode::OK, b"ready\n".as_slice()));
    assert!(readyz.headers.contains_key("date"));
    assert_eq!(call(&node, Method::GET, "/livez", "", b"").await.status, StatusCode::OK);
    let metrics = call(&node, Method::GET, "/metrics", "", b"").await.body;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    for line in ["regnode_ready 1", "regnode_catalog_blobs 2", "regnode_raft_group_leader{group=\"directory\"} 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
    let status = node.status().await;
    assert_eq!(status.verdict, Verdict::Healthy, "{status:#?}");
    assert!(status.summary.contains("no redundancy"), "{}", status.summary);
    ask_the_local_socket(&settings.data_dir.join(SOCKET)).await;
    timeout(DEADLINE, node.shutdown()).await.unwrap();

    let node = start(&environment, &settings).await;
    assert_eq!(pull_manifest(&node, "v1").await, manifest);
    assert_eq!(pull_blob(&node, &digest(&layer)).await, layer);
    timeout(DEADLINE, node.shutdown()).await.unwrap();

    // A disk that is not mounted is not replaced by an empty one.
    let (mounted, elsewhere) = (settings.data_dir.join("disk"), directory.path().join("elsewhere"));
    environment.files.rename(&mounted, &elsewhere).unwrap();
    let missing = Node::start(environment.clone(), settings.clone(), Certificates::Issued).await;
    assert!(matches!(missing, Err(StartError::Disk(DiskError::Gone { .. }))), "{missing:?}");
    environment.files.rename(&elsewhere, &mounted).unwrap();
    let node = start(&environment, &settings).await;
    assert_eq!(pull_blob(&node, &digest(&layer)).await, layer);
    timeout(DEADLINE, node.shutdown()).await.unwrap();
}

async fn ask_the_local_socket(socket: &Path) {
    let ask = async |method, path, body: &str| {
        #[expect(clippy::disallowed_methods, reason = "a client of the node, outside of its environment")]
        let stream = UnixStream::connect(socket).await.unwrap();
        call_over(stream, method, path, "application/json", body.as_bytes()).await
    };
    let status: Status = serde_json::from_slice(&ask(Method::GET, "/status", "").await.body).unwrap();
    assert_eq!((status.node, status.name.as_str()), (1, "n1"));
    let token = ask(Method::POST, "/token", r#"{"lifetime_seconds":60}"#).await;
    assert_eq!(token.status, StatusCode::OK);
    assert!(serde_json::from_slice::<TokenAnswer>(&token.body).unwrap().token.starts_with("rj1."));
    let refused = ask(Method::POST, "/token", r#"{"lifetime_seconds":0}"#).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(serde_json::from_slice::<ErrorAnswer>(&refused.body).unwrap().error.contains("1 to 2592000"));
    let config: ConfigAnswer = serde_json::from_slice(&ask(Method::GET, "/config", "").await.body).unwrap();
    assert!(config.keys.iter().any(|entry| entry.key == "node.name" && entry.value == "\"n1\""));
}

pub(super) async fn wait_for(node: &Node, what: &str, until: impl Fn(&Status) -> bool) -> Status {
    let waiting = async {
        loop {
            let status = node.status().await;
            if until(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if let Ok(status) = timeout(DEADLINE, waiting).await {
        return status;
    }
    panic!("{what}: {:#?}", node.status().await);
}

fn is_whole(status: &Status, nodes: usize) -> bool {
    status.verdict == Verdict::Healthy
        && status.nodes.len() == nodes
        && status.groups.iter().all(|group| group.voters.len() == nodes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_join_by_tokens_and_serve_each_others_pushes() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let first = settings(directory.path(), "n1");
    init(&environment, &first, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let mut nodes = vec![start(&environment, &first).await];

    for name in ["n2", "n3"] {
        let invitation = nodes[0].create_token(600).await.unwrap();
        let own = settings(directory.path(), name);
        let joining =
            || join(&environment, &own, &invitation.addresses, &invitation.token, "main", Certificates::Issued, None);
        let joined = joining().await.unwrap();
        assert_eq!(joining().await.unwrap(), joined, "a repetition changes nothing");
        let used = settings(directory.path(), &format!("{name}-again"));
        let addresses = &invitation.addresses;
        let refused = join(&environment, &used, addresses, &invitation.token, "main", Certificates::Issued, None).await;
        assert!(matches!(refused, Err(SetupError::Refused { .. })), "{refused:?}");
        let node = start(&environment, &own).await;
        let status = node.status().await;
        let name = &name.to_owned();
        assert!(status.groups.iter().all(|group| group.voters.contains(name)), "ready before it votes: {status:#?}");
        nodes.push(node);
    }
    for node in &nodes {
        wait_for(node, "the cluster is whole", |status| is_whole(status, 3)).await;
    }

    let layer = content(5_000_000);
    let manifest = push_manifest(&nodes[1], b"{}", &layer, "v1").await;
    for node in &nodes {
        assert_eq!(pull_manifest(node, "v1").await, manifest);
        assert_eq!(pull_blob(node, &digest(&layer)).await, layer);
    }

    // The first node ends; the others go on, and say so.
    timeout(DEADLINE, nodes.remove(0).shutdown()).await.unwrap();
    let status = wait_for(&nodes[0], "the loss is noticed", |status| status.verdict == Verdict::NeedsAttention).await;
    assert!(status.confirmed, "{status:#?}");
    assert_eq!(pull_blob(&nodes[0], &digest(&layer)).await, layer);
    let other = content(1_500_000);
    push_manifest(&nodes[0], b"{}", &other, "v2").await;
    assert_eq!(pull_blob(&nodes[1], &digest(&other)).await, other);

    // It comes back and serves what it has missed.
    nodes.insert(0, start(&environment, &first).await);
    assert_eq!(pull_blob(&nodes[0], &digest(&other)).await, other);
    wait_for(&nodes[0], "the cluster is whole again", |status| is_whole(status, 3)).await;
    for node in nodes {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

/// Engines whose journals cannot be synced any more once a test says so.
#[derive(Debug)]
struct FailingEngines {
    inner: RocksEngines,
    failing: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FailingEngine {
    inner: Arc<dyn Engine>,
    failing: Arc<AtomicBool>,
}

impl Engines for FailingEngines {
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError> {
        let inner = self.inner.open(directory, options)?;
        if !options.journal {
            return Ok(inner);
        }
        Ok(Arc::new(FailingEngine { inner, failing: Arc::clone(&self.failing) }))
    }

    fn read_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointReader>> {
        self.inner.read_checkpoint_file(path)
    }

    fn create_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointWriter>> {
        self.inner.create_checkpoint_file(path)
    }

    fn rewrite_checkpoint(&self, directory: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        self.inner.rewrite_checkpoint(directory, goes_on)
    }
}

impl Engine for FailingEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.inner.get(column, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.inner.scan(scan)
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.inner.write(batch)
    }

    fn sync(&self) -> Result<(), EngineError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(EngineError::Engine { path: "log".into(), message: "Input/output error".to_owned() });
        }
        self.inner.sync()
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        self.inner.checkpoint(directory)
    }

    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        self.inner.rewrite(goes_on)
    }

    fn seals(&self) -> Result<Seals, EngineError> {
        self.inner.seals()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_log_cannot_be_synced_says_so_and_acknowledges_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let failing = Arc::new(AtomicBool::new(false));
    let engines = FailingEngines { inner: RocksEngines::new(Keys::clear()), failing: Arc::clone(&failing) };
    let environment = real(Arc::new(RealFiles), Arc::new(engines));
    let settings = settings(directory.path(), "n1");
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let node = start(&environment, &settings).await;
    let kept = push_blob(&node, b"kept").await;
    assert!(timeout(Duration::from_millis(500), node.failed()).await.is_err(), "a sound node does not fail");

    failing.store(true, Ordering::SeqCst);
    let path = format!("/v2/acme/app/blobs/uploads/?digest={}", digest(b"lost"));
    let answer = call(&node, Method::POST, &path, "application/octet-stream", b"lost").await;
    assert!(answer.status.is_server_error(), "{}", answer.status);
    let failure = timeout(DEADLINE, node.failed()).await.unwrap();
    assert!(failure.contains("has stopped") && failure.contains("Input/output error"), "{failure}");
    drop(node);

    failing.store(false, Ordering::SeqCst);
    let restarted = async {
        loop {
            match Node::start(environment.clone(), settings.clone(), Certificates::Issued).await {
                Ok(node) => return node,
                // What was dropped closes its engines in its own time.
                Err(_in_use) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let node = timeout(DEADLINE, restarted).await.unwrap();
    timeout(DEADLINE, node.wait_ready()).await.unwrap();
    assert_eq!(pull_blob(&node, &kept).await, b"kept".as_slice());
    timeout(DEADLINE, node.shutdown()).await.unwrap();
}

/// A clock that a test sets forward.
#[derive(Debug)]
struct ForwardClock {
    real: Arc<dyn Clock>,
    forward_seconds: AtomicU64,
}

impl Clock for ForwardClock {
    fn now(&self) -> Timestamp {
        self.real.now().plus_seconds(self.forward_seconds.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_live_as_long_as_they_say_after_thirty_idle_days() {
    const DAY: u64 = 24 * 3600;
    let directory = tempfile::tempdir().unwrap();
    let mut environment = environment();
    let clock = Arc::new(ForwardClock { real: Arc::clone(&environment.clock), forward_seconds: AtomicU64::new(0) });
    environment.clock = Arc::<ForwardClock>::clone(&clock);
    let first = settings(directory.path(), "n1");
    init(&environment, &first, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let node = start(&environment, &first).await;
    let old = node.create_token(2 * DAY).await.unwrap();

    clock.forward_seconds.store(30 * DAY, Ordering::Relaxed);
    let second = settings(directory.path(), "n2");
    let joining = async |token: &TokenAnswer| {
        join(&environment, &second, &token.addresses, &token.token, "main", Certificates::Issued, None).await
    };
    let refused = joining(&old).await;
    assert!(matches!(&refused, Err(SetupError::Refused { message, .. }) if message.contains("expired")), "{refused:?}");
    let short = node.create_token(600).await.unwrap();
    clock.forward_seconds.store(30 * DAY + 540, Ordering::Relaxed);
    assert_eq!(joining(&short).await.unwrap().node.0, 2);

    clock.forward_seconds.store(60 * DAY, Ordering::Relaxed);
    let late = node.create_token(600).await.unwrap();
    clock.forward_seconds.store(60 * DAY + 700, Ordering::Relaxed);
    let third = settings(directory.path(), "n3");
    let refused = join(&environment, &third, &late.addresses, &late.token, "main", Certificates::Issued, None).await;
    assert!(matches!(refused, Err(SetupError::Refused { .. })), "{refused:?}");
    timeout(DEADLINE, node.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_breaks_off_costs_the_cluster_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let first = settings(directory.path(), "n1");
    init(&environment, &first, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let node = start(&environment, &first).await;
    let invitation = node.create_token(600).await.unwrap();
    let second = settings(directory.path(), "n2");
    let addresses = &invitation.addresses;
    join(&environment, &second, addresses, &invitation.token, "main", Certificates::Issued, None).await.unwrap();

    push_blob(&node, &content(200_000)).await;
    let status = node.status().await;
    assert_eq!(status.verdict, Verdict::Healthy, "{status:#?}");
    assert_eq!((status.nodes.len(), status.nodes[1].state.as_str()), (2, "joining"));
    assert!(status.groups.iter().all(|group| group.seats == 1), "{status:#?}");

    let joined = start(&environment, &second).await;
    wait_for(&node, "both are whole", |status| is_whole(status, 2)).await;
    assert_eq!(node.status().await.nodes[1].state, "active");
    push_blob(&joined, &content(300_000)).await;
    for node in [joined, node] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "an operator's hand on the data directory")]
async fn a_node_without_the_log_that_it_voted_in_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let settings = settings(directory.path(), "n1");
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    timeout(DEADLINE, start(&environment, &settings).await.shutdown()).await.unwrap();
    let (log, aside) = (settings.data_dir.join("log"), settings.data_dir.join("aside"));
    std::fs::rename(&log, &aside).unwrap();
    for _ in 0..2 {
        let lost = Node::start(environment.clone(), settings.clone(), Certificates::Issued).await;
        let text = lost.as_ref().unwrap_err().to_string();
        assert!(matches!(lost, Err(StartError::LogLost { .. })), "{text}");
        assert!(text.contains(log.to_str().unwrap()) && text.contains("regnode join"), "{text}");
    }

    let other = self::settings(directory.path(), "other");
    init(&environment, &other, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    timeout(DEADLINE, start(&environment, &other).await.shutdown()).await.unwrap();
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(other.data_dir.join("log"), &log).unwrap();
    let foreign = Node::start(environment.clone(), settings.clone(), Certificates::Issued).await;
    assert!(matches!(foreign, Err(StartError::LogForeign { .. })), "{foreign:?}");

    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    timeout(DEADLINE, start(&environment, &settings).await.shutdown()).await.unwrap();
}
