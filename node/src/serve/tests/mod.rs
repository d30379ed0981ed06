//! The accept loop over real sockets.

mod alpn;
mod framing;
mod fuzz;
mod hostile;
mod mutual;
mod proxies;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use raft::time::{Clock, Timestamp};
use storage::disk::{Files, RealFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CertificateFiles, CertificatePaths, Drain, Front, Limits, Protection, Server, serve};
use crate::environment::{Listener, real};

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(super) struct Running {
    pub(super) address: SocketAddr,
    drain: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) async fn end(self) {
        self.drain.cancel();
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

async fn start(router: Router, limits: Limits, within: Duration) -> Running {
    start_with(router, limits, within, Protection::Plaintext).await
}

async fn start_with(router: Router, limits: Limits, within: Duration, protection: Protection) -> Running {
    start_behind(Front::default(), router, limits, within, protection).await
}

pub(super) async fn start_behind(
    front: Front,
    router: Router,
    limits: Limits,
    within: Duration,
    protection: Protection,
) -> Running {
    let engines = Arc::new(storage::kv::MemoryEngines::new(Arc::new(RealFiles)));
    let environment = real(Arc::new(RealFiles), engines);
    let listener: Box<dyn Listener> = environment.network.listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap();
    let server = Server { name: "test", listener, router, protection, front, limits };
    let drain = CancellationToken::new();
    let task = tokio::spawn(serve(
        server,
        Arc::new(Fixed(Timestamp(784_111_777_000))),
        Drain { begin: drain.clone(), timeout: within },
    ));
    Running { address, drain, task }
}

#[expect(clippy::disallowed_methods, reason = "a client, outside of any environment")]
pub(super) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

pub(super) async fn read_all(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut text)).await.expect("the server ends the connection")?;
    Ok(text)
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn the_date_is_the_environments() {
    let server = start(Router::new().route("/", get(|| async { "hello" })), Limits::local(), DEADLINE).await;
    let mut stream = connect(server.address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let text = read_all(&mut stream).await.unwrap();
    assert_eq!(text.matches("date:").count(), 1, "{text}");
    assert!(text.contains("date: Sun, 06 Nov 1994 08:49:37 GMT"), "{text}");
    server.drain.cancel();
    server.task.await.unwrap();
}

#[tokio::test]
async fn clients_are_served_over_tls_and_a_silent_handshake_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let (certificate_file, key_file) = (directory.path().join("a.crt"), directory.path().join("a.key"));
    files.replace(&certificate_file, certificate.pem().as_bytes()).unwrap();
    files.replace(&key_file, key.serialize_pem().as_bytes()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(Fixed(Timestamp(1_800_000_000_000)));
    let paths = CertificatePaths { certificate: Some((certificate_file, key_file)), ..CertificatePaths::default() };
    let opened = CertificateFiles::open(files, paths, clock, None).unwrap();
    let protection = Protection::Tls(opened.config(), None);
    let router = Router::new().route("/", get(|| async { "hello" }));
    let limits = Limits { handshake_timeout: Duration::from_secs(2), ..Limits::local() };
    let server = start_with(router, limits, DEADLINE, protection).await;
    let mut silent = connect(server.address).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut stream = connector.connect(name, connect(server.address).await).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    // The end may come without a closing alert; what was sent counts.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut text)).await.unwrap();
    assert!(String::from_utf8_lossy(&text).ends_with("hello"));
    read_all(&mut silent).await.unwrap_or_default();
    server.drain.cancel();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_takes_no_more() {
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (in_handler, until) = (Arc::clone(&begun), Arc::clone(&release));
    let handler = get(move || {
        let (begun, release) = (Arc::clone(&in_handler), Arc::clone(&until));
        async move {
            begun.notify_one();
            release.notified().await;
            "finished"
        }
    });
    let server = start(Router::new().route("/", handler), Limits::local(), DEADLINE).await;
    let mut stream = connect(server.address).await;
    stream.write_all(REQUEST).await.unwrap();
    begun.notified().await;
    server.drain.cancel();
    let refused = async {
        #[expect(clippy::disallowed_methods, reason = "a client, outside of any environment")]
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, refused).await.expect("new connections are refused");
    release.notify_one();
    assert!(read_all(&mut stream).await.unwrap().contains("finished"));
    timeout(DEADLINE, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_cuts_off_what_does_not_finish() {
    let begun = Arc::new(Notify::new());
    let in_handler = Arc::clone(&begun);
    let handler = get(move || {
        let begun = Arc::clone(&in_handler);
        async move {
            begun.notify_one();
            std::future::pending::<()>().await;
        }
    });
    let server = start(Router::new().route("/", handler), Limits::local(), Duration::from_millis(50)).await;
    let mut stream = connect(server.address).await;
    stream.write_all(REQUEST).await.unwrap();
    begun.notified().await;
    server.drain.cancel();
    timeout(DEADLINE, server.task).await.unwrap().unwrap();
    assert_eq!(read_all(&mut stream).await.unwrap_or_default(), "");
}

#[tokio::test]
async fn whoever_says_nothing_is_let_go() {
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::local() };
    let server = start(Router::new().route("/", get(|| async { "hello" })), limits, DEADLINE).await;
    for sent in [b"".as_slice(), b"PRI * HTTP", b"GET / HTTP/1.1\r\nhost: loc"] {
        let mut stream = connect(server.address).await;
        stream.write_all(sent).await.unwrap();
        read_all(&mut stream).await.unwrap_or_default();
    }
    server.drain.cancel();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_request_may_take_longer_than_a_silence() {
    let limits = Limits { header_timeout: Duration::from_millis(500), ..Limits::local() };
    let handler = get(|| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        "at last"
    });
    let server = start(Router::new().route("/", handler), limits, DEADLINE).await;
    let mut stream = connect(server.address).await;
    stream.write_all(REQUEST).await.unwrap();
    assert!(read_all(&mut stream).await.unwrap().ends_with("at last"));
    server.drain.cancel();
    server.task.await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let limits = Limits { max_connections: 1, ..Limits::local() };
    let server = start(Router::new().route("/", get(|| async { "hello" })), limits, DEADLINE).await;
    let mut first = connect(server.address).await;
    first.write_all(REQUEST).await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = connect(server.address).await;
    second.write_all(REQUEST).await.unwrap();
    assert!(timeout(Duration::from_millis(200), second.read_exact(&mut byte)).await.is_err());
    drop(first);
    timeout(DEADLINE, second.read_exact(&mut byte)).await.unwrap().unwrap();
    server.drain.cancel();
    server.task.await.unwrap();
}

/// A certificate for these names and its key, as PEM.
pub(crate) fn pem(names: &[&str]) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}
