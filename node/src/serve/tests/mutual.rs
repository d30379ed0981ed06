//! The accept loop of a listener whose clients may show a certificate: strangers do not keep peers out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::routing::get;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use raft::id::{NodeId, RegionId};
use raft::time::{Clock, Timestamp};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use storage::disk::RealFiles;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::environment::real;
use crate::identity::{
    Authority, CertificateRequest, ClusterId, ClusterKey, Credentials, NodeCertificate, PeerTls, generate_key,
    server_name,
};
use crate::peer::PeerIdentity;
use crate::serve::{Callers, Drain, Front, Limits, Protection, Server, Standing, serve};

const DEADLINE: Duration = Duration::from_secs(20);
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const CLUSTER: ClusterId = ClusterId([1; 16]);

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Knows every node, and all of them stand as a test says.
struct Known {
    standing: watch::Sender<Standing>,
    changes: watch::Sender<u64>,
    /// Lets a slow request end.
    release: Notify,
}

impl Callers for Known {
    fn identify(&self, certificate: &CertificateDer<'_>) -> Option<PeerIdentity> {
        let read = NodeCertificate::read(certificate).ok()?;
        Some(PeerIdentity { node: read.node, region: read.region })
    }

    fn standing(&self, _peer: PeerIdentity, _certificate: &CertificateDer<'_>) -> Standing {
        *self.standing.borrow()
    }

    fn changes(&self) -> [watch::Receiver<u64>; 2] {
        [self.changes.subscribe(), self.changes.subscribe()]
    }
}

impl Known {
    fn all_are(&self, standing: Standing) {
        self.standing.send_replace(standing);
        self.changes.send_modify(|version| *version += 1);
    }
}

struct Running {
    address: SocketAddr,
    authority: Authority,
    known: Arc<Known>,
    drain: CancellationToken,
    task: JoinHandle<()>,
}

fn tls(authority: &Authority, id: u64) -> PeerTls {
    let key = generate_key().unwrap();
    let request = CertificateRequest::new(&key).unwrap();
    let credentials = Credentials {
        certificate: authority.sign((NodeId(id), RegionId(1)), &request.0, NOW).unwrap(),
        authority: authority.certificate().clone(),
        also: Vec::new(),
        cluster_key: ClusterKey([0; 32]),
        key,
    };
    let clock: Arc<dyn Clock> = Arc::new(Fixed);
    PeerTls::new(&credentials, &clock).unwrap()
}

async fn start(limits: Limits) -> Running {
    let authority = Authority::generate(CLUSTER, NOW).unwrap();
    let engines = Arc::new(storage::kv::MemoryEngines::new(Arc::new(RealFiles)));
    let listener = real(Arc::new(RealFiles), engines).network.listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap();
    let known = Arc::new(Known {
        standing: watch::channel(Standing::Member).0,
        changes: watch::channel(0).0,
        release: Notify::new(),
    });
    let protection = Protection::MutualTls(tls(&authority, 1).server, Arc::clone(&known) as Arc<dyn Callers>);
    let who = |peer: Option<Extension<PeerIdentity>>| async move {
        peer.map_or_else(|| "stranger".to_owned(), |peer| format!("node {}", peer.node))
    };
    let release = Arc::clone(&known);
    let slow = || async move {
        release.release.notified().await;
        "slow"
    };
    let server = Server {
        name: "test",
        listener,
        router: Router::new().route("/", get(who)).route("/slow", get(slow)),
        protection,
        front: Front::default(),
        limits,
    };
    let drain = CancellationToken::new();
    let end = Drain { begin: drain.clone(), timeout: DEADLINE };
    let task = tokio::spawn(serve(server, Arc::new(Fixed), end));
    Running { address, authority, known, drain, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        #[expect(clippy::disallowed_methods, reason = "a client, outside of any environment")]
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn handshake(&self, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let name = ServerName::try_from(server_name(NodeId(1), CLUSTER)).unwrap();
        timeout(DEADLINE, TlsConnector::from(config).connect(name, self.connect().await)).await.unwrap().unwrap()
    }

    async fn peer(&self) -> TlsStream<TcpStream> {
        self.handshake(tls(&self.authority, 2).client).await
    }

    async fn stranger(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let time = Arc::new(crate::identity::TlsClock::new(&(Arc::new(Fixed) as Arc<dyn Clock>)));
        let mut config = ClientConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        self.handshake(Arc::new(config)).await
    }

    async fn end(self) {
        self.drain.cancel();
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

async fn ask(stream: TlsStream<TcpStream>) -> String {
    use http_body_util::BodyExt;

    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://localhost/").body(Body::empty()).unwrap();
    let answer = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    String::from_utf8(text.to_vec()).unwrap()
}

async fn is_ended(mut stream: impl tokio::io::AsyncRead + Unpin) -> bool {
    let reading = async {
        let mut bytes = [0; 256];
        // What the server says of itself comes before the end.
        while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
    };
    timeout(DEADLINE, reading).await.is_ok()
}

#[tokio::test]
async fn silent_connections_do_not_keep_a_peer_out() {
    let limits = Limits { max_handshakes: 4, handshake_timeout: Duration::from_mins(10), ..Limits::peers() };
    let server = start(Limits { max_connections: 8, ..limits }).await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(server.connect().await);
    }
    assert_eq!(ask(server.peer().await).await, "node 2");
    assert!(is_ended(silent.remove(0)).await);
    drop(silent);
    server.end().await;
}

#[tokio::test]
async fn strangers_are_few_and_the_oldest_goes_for_a_newer_one() {
    let limits = Limits { max_strangers: 2, stranger_lifetime: Duration::from_mins(10), ..Limits::peers() };
    let server = start(limits).await;
    let peer = server.peer().await;
    let first = server.stranger().await;
    assert_eq!(ask(server.stranger().await).await, "stranger");
    let (_second, third) = (server.stranger().await, server.stranger().await);
    assert!(is_ended(first).await, "the oldest goes");
    assert_eq!(ask(third).await, "stranger", "the newest stays");
    assert_eq!(ask(peer).await, "node 2", "a peer stays");
    server.end().await;
}

#[tokio::test]
async fn a_stranger_stays_for_a_while_only() {
    let limits = Limits { stranger_lifetime: Duration::from_secs(1), ..Limits::peers() };
    let server = start(limits).await;
    let peer = server.peer().await;
    let begun = tokio::time::Instant::now();
    assert!(is_ended(server.stranger().await).await);
    assert!(begun.elapsed() >= Duration::from_millis(900), "it goes after a while");
    assert_eq!(ask(peer).await, "node 2", "a peer stays");
    server.end().await;
}

/// A connection on which several requests are made; the task ends with it.
async fn open(stream: TlsStream<TcpStream>) -> (SendRequest<Body>, JoinHandle<()>) {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

async fn status(sender: &mut SendRequest<Body>, path: &str) -> Option<u16> {
    let request = http::Request::get(format!("http://localhost{path}")).body(Body::empty()).unwrap();
    Some(timeout(DEADLINE, sender.send_request(request)).await.unwrap().ok()?.status().as_u16())
}

#[tokio::test]
async fn a_removed_node_is_let_go_at_once_and_comes_back_as_a_stranger_only() {
    let limits = Limits { max_strangers: 1, header_timeout: Duration::from_mins(10), ..Limits::peers() };
    let server = start(Limits { stranger_lifetime: Duration::from_mins(10), ..limits }).await;
    let (mut sender, connection) = open(server.peer().await).await;
    assert_eq!(status(&mut sender, "/").await, Some(200));
    let under_way = {
        let mut sender = sender.clone();
        tokio::spawn(async move { status(&mut sender, "/slow").await })
    };
    assert_eq!(status(&mut sender, "/").await, Some(200), "the slow one is under way");
    server.known.all_are(Standing::Removed);
    timeout(DEADLINE, connection).await.expect("the connection ends").unwrap();
    assert_eq!(under_way.await.unwrap(), None, "with what is under way");
    assert_eq!(status(&mut sender, "/").await, None);
    // It is answered, to be told so, and keeps nobody else out.
    let (mut sender, connection) = open(server.peer().await).await;
    assert_eq!(status(&mut sender, "/").await, Some(200));
    let _other = server.stranger().await;
    timeout(DEADLINE, connection).await.expect("it goes for newer strangers").unwrap();
    server.end().await;
}

#[tokio::test]
async fn what_is_under_way_on_an_outdated_certificate_ends_and_nothing_new_begins() {
    let server = start(Limits::peers()).await;
    let (mut sender, connection) = open(server.peer().await).await;
    let under_way = {
        let mut sender = sender.clone();
        tokio::spawn(async move { status(&mut sender, "/slow").await })
    };
    assert_eq!(status(&mut sender, "/").await, Some(200));
    server.known.all_are(Standing::Outdated);
    let refused = async {
        while status(&mut sender, "/").await.is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, refused).await.expect("nothing new is taken");
    assert!(!under_way.is_finished());
    server.known.release.notify_one();
    assert_eq!(under_way.await.unwrap(), Some(200));
    timeout(DEADLINE, connection).await.expect("the connection ends").unwrap();
    server.end().await;
}
