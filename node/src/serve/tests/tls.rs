//! Certificates by domain that come, change and go; versions and protocols of TLS; certificates of clients.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use raft::time::{Clock, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{ClientConfig, ProtocolVersion, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use storage::disk::{Files, RealFiles};
use storage::exec::Exec;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{DEADLINE, Fixed, Running, connect, pem, start_behind};
use crate::config::ProxyHeaders;
use crate::serve::{CertificateFiles, CertificateFilesError, CertificatePaths, Client, Front, Limits, Protection};

fn clock() -> Arc<dyn Clock> {
    Arc::new(Fixed(Timestamp(1_800_000_000_000)))
}

fn write(path: &Path, text: &str) {
    RealFiles.replace(path, text.as_bytes()).unwrap();
}

/// Writes a pair for some names.
fn put(directory: &TempDir, pair: &str, names: &[&str]) -> CertificateDer<'static> {
    use rustls_pki_types::pem::PemObject;

    let (certificate, key) = pem(names);
    write(&directory.path().join(format!("{pair}.key")), &key);
    write(&directory.path().join(format!("{pair}.crt")), &certificate);
    CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
}

fn open(paths: CertificatePaths) -> Result<CertificateFiles, CertificateFilesError> {
    CertificateFiles::open(Arc::new(RealFiles), paths, clock(), None)
}

struct Tls {
    server: Running,
    following: JoinHandle<()>,
}

async fn start(paths: CertificatePaths) -> Tls {
    start_in(Front::default(), paths).await
}

async fn start_in(front: Front, paths: CertificatePaths) -> Tls {
    let files = open(paths).unwrap();
    let protection = Protection::Tls(files.config(), None);
    let who = |Extension(client): Extension<Client>| async move {
        let names = client.certificate.map_or_else(|| "nobody".to_owned(), |shown| shown.sans.join(" "));
        format!("{} {names}", client.secure)
    };
    let router = Router::new().fallback(who);
    let server = start_behind(front, router, Limits::clients(64), DEADLINE, protection).await;
    Tls { server, following: tokio::spawn(files.follow(Exec::inline())) }
}

/// A client that trusts everything: what it was shown is looked at by the tests.
#[derive(Debug)]
struct TrustAll(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client of these versions and protocols, with a certificate or without.
pub(super) fn client(
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
    identity: Option<Identity>,
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll(provider)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn plain() -> Arc<ClientConfig> {
    client(rustls::ALL_VERSIONS, &["http/1.1"], None)
}

/// A connection to a server by a name.
pub(super) async fn reach_at(
    server: std::net::SocketAddr,
    name: &str,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(config).connect(name, connect(server).await);
    timeout(DEADLINE, connecting).await.unwrap()
}

impl Tls {
    async fn reach(&self, name: &str, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        reach_at(self.server.address, name, config).await
    }

    /// The certificate that is shown for a name.
    async fn shown(&self, name: &str) -> CertificateDer<'static> {
        let stream = self.reach(name, plain()).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// Waits until another certificate is shown for a name.
    async fn comes(&self, name: &str, certificate: &CertificateDer<'static>) {
        let waiting = async {
            while self.shown(name).await != *certificate {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        timeout(DEADLINE, waiting).await.expect("the certificate is taken");
    }

    async fn end(self) {
        self.following.abort();
        self.server.end().await;
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    ask_with(stream, "").await
}

/// What it answers to a request with these headers more.
async fn ask_with(stream: &mut TlsStream<TcpStream>, headers: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n").as_bytes()).await?;
    let (mut text, mut byte) = (String::new(), [0]);
    loop {
        if timeout(DEADLINE, stream.read(&mut byte)).await.unwrap()? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.push(char::from(byte[0]));
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && head.contains(&format!("content-length: {}\r\n", body.len()))
        {
            return Ok(body.to_owned());
        }
    }
}

#[tokio::test]
async fn pairs_come_change_and_go_and_no_connection_ends() {
    let directory = tempfile::tempdir().unwrap();
    let first = put(&directory, "a", &["a.example"]);
    let wild = put(&directory, "b", &["*.b.example"]);
    let tls =
        start(CertificatePaths { directory: Some(directory.path().to_owned()), ..CertificatePaths::default() }).await;
    assert_eq!(tls.shown("a.example").await, first);
    assert_eq!(tls.shown("x.b.example").await, wild);
    assert_eq!(tls.shown("other.example").await, first, "the first one is the default");
    let mut open = tls.reach("a.example", plain()).await.unwrap();
    assert_eq!(ask(&mut open).await.unwrap(), "true nobody");

    let third = put(&directory, "c", &["c.example"]);
    tls.comes("c.example", &third).await;
    let second = put(&directory, "a", &["a.example"]);
    tls.comes("a.example", &second).await;
    write(&directory.path().join("b.crt"), "nonsense");
    RealFiles.remove(&directory.path().join("c.crt")).unwrap();
    tls.comes("c.example", &second).await;
    assert_eq!(tls.shown("x.b.example").await, wild, "a broken one keeps what was there");
    let fourth = put(&directory, "b", &["*.b.example"]);
    tls.comes("x.b.example", &fourth).await;
    for name in ["a.crt", "b.crt"] {
        RealFiles.remove(&directory.path().join(name)).unwrap();
    }
    tokio::time::sleep(crate::serve::tls::POLL_INTERVAL * 2).await;
    assert_eq!(tls.shown("a.example").await, second, "the last ones stay: nobody could be served");
    assert_eq!(ask(&mut open).await.unwrap(), "true nobody", "the connection from before is still served");
    tls.end().await;
}

#[tokio::test]
async fn the_named_certificate_is_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let other = put(&directory, "a", &["a.example"]);
    let beside = tempfile::tempdir().unwrap();
    let main = put(&beside, "main", &["main.example"]);
    let certificate = Some((beside.path().join("main.crt"), beside.path().join("main.key")));
    write(&directory.path().join("broken.crt"), "nonsense");
    let tls =
        start(CertificatePaths { certificate, directory: Some(directory.path().to_owned()), client_ca: None }).await;
    assert_eq!(tls.shown("a.example").await, other, "a broken pair keeps nobody from starting");
    assert_eq!(tls.shown("b.example").await, main);
    let renewed = put(&beside, "main", &["main.example"]);
    tls.comes("b.example", &renewed).await;
    tls.end().await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_both_protocols() {
    let directory = tempfile::tempdir().unwrap();
    put(&directory, "a", &["a.example"]);
    let tls =
        start(CertificatePaths { directory: Some(directory.path().to_owned()), ..CertificatePaths::default() }).await;
    for (version, expected) in
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        for (offered, chosen) in [(&["h2", "http/1.1"][..], &b"h2"[..]), (&["http/1.1"], b"http/1.1")] {
            let stream = tls.reach("a.example", client(&[version], offered, None)).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen));
        }
    }
    tls.end().await;
}

/// An authority, as PEM, and a certificate that it signed for some names.
fn authority() -> (String, impl Fn(Vec<SanType>) -> Identity) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let sign = move |sans| {
        let own = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::default();
        wanted.subject_alt_names = sans;
        let signed = wanted.signed_by(&own, &Issuer::from_params(&params, &key)).unwrap();
        (vec![signed.der().clone()], PrivateKeyDer::try_from(own.serialize_der()).unwrap())
    };
    (pem, sign)
}

#[tokio::test]
async fn clients_may_show_a_certificate_of_a_trusted_authority() {
    let directory = tempfile::tempdir().unwrap();
    put(&directory, "a", &["a.example"]);
    let ((trusted, sign), (_, foreign)) = (authority(), authority());
    let ca = directory.path().join("clients.pem");
    write(&ca, &trusted);
    let paths = CertificatePaths {
        directory: Some(directory.path().to_owned()),
        client_ca: Some(ca.clone()),
        certificate: None,
    };
    let tls = start(paths).await;
    let names = || vec![SanType::URI("spiffe://example/ci".try_into().unwrap())];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let asked = async |identity: Option<Identity>| {
            let mut stream = tls.reach("a.example", client(&[version], &["http/1.1"], identity)).await?;
            ask(&mut stream).await
        };
        assert_eq!(asked(None).await.unwrap(), "true nobody");
        assert_eq!(asked(Some(sign(names()))).await.unwrap(), "true uri:spiffe://example/ci");
        assert!(asked(Some(foreign(names()))).await.is_err(), "of another authority");
    }
    let (other, sign_other) = authority();
    write(&ca, &other);
    let config = client(rustls::ALL_VERSIONS, &["http/1.1"], Some(sign_other(names())));
    let taken = async {
        loop {
            if let Ok(mut stream) = tls.reach("a.example", Arc::clone(&config)).await
                && ask(&mut stream).await.is_ok_and(|answer| answer.ends_with("ci"))
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, taken).await.expect("the new authority is taken");
    let config = client(rustls::ALL_VERSIONS, &["http/1.1"], Some(sign(names())));
    let refused = async { ask(&mut tls.reach("a.example", config).await?).await };
    assert!(refused.await.is_err(), "and the old one is not");
    tls.end().await;
}

#[tokio::test]
async fn the_certificate_of_a_proxy_is_not_that_of_whom_it_speaks_for() {
    let directory = tempfile::tempdir().unwrap();
    put(&directory, "a", &["a.example"]);
    let (trusted, sign) = authority();
    let ca = directory.path().join("clients.pem");
    write(&ca, &trusted);
    let own = "true uri:spiffe://example/proxy";
    for (proxies, kind, expected) in [
        ("127.0.0.0/8", ProxyHeaders::XForwarded, ["true nobody", "true nobody", "false nobody", own]),
        ("127.0.0.0/8", ProxyHeaders::Forwarded, [own, own, own, "true nobody"]),
        ("10.0.0.0/8", ProxyHeaders::XForwarded, [own; 4]),
    ] {
        let paths = CertificatePaths {
            directory: Some(directory.path().to_owned()),
            client_ca: Some(ca.clone()),
            certificate: None,
        };
        let front = Front { trusted_proxies: proxies.parse().unwrap(), proxy_headers: kind, ..Front::default() };
        let tls = start_in(front, paths).await;
        let identity = sign(vec![SanType::URI("spiffe://example/proxy".try_into().unwrap())]);
        let config = client(rustls::ALL_VERSIONS, &["http/1.1"], Some(identity));
        let mut stream = tls.reach("a.example", config).await.unwrap();
        let headers = [
            "x-forwarded-for: 192.0.2.1\r\n",
            "x-forwarded-for: unknown\r\n",
            "x-forwarded-proto: http\r\n",
            "forwarded: for=_hidden\r\n",
        ];
        for (headers, expected) in headers.into_iter().zip(expected) {
            assert_eq!(ask_with(&mut stream, headers).await.unwrap(), expected, "{proxies} {kind:?}: {headers}");
        }
        assert_eq!(ask(&mut stream).await.unwrap(), own, "what it asks for itself");
        tls.end().await;
    }
}

#[test]
fn unusable_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("a.crt"), directory.path().join("a.key"));
    let paths = CertificatePaths { certificate: Some((certificate, key.clone())), ..CertificatePaths::default() };
    let missing = open(paths.clone());
    assert!(matches!(missing, Err(CertificateFilesError::Unreadable { key: "api.tls_certificate", .. })));
    put(&directory, "a", &["a.example"]);
    let client_ca = Some(key.clone());
    let wrong = open(CertificatePaths { client_ca, ..paths.clone() });
    assert!(matches!(wrong, Err(CertificateFilesError::Authorities(_))));
    write(&key, &KeyPair::generate().unwrap().serialize_pem());
    assert!(matches!(open(paths), Err(CertificateFilesError::Unusable { .. })));
    let only = || CertificatePaths { directory: Some(directory.path().to_owned()), ..CertificatePaths::default() };
    assert!(matches!(open(only()), Err(CertificateFilesError::None(_))));
    RealFiles.remove(&key).unwrap();
    assert!(matches!(open(only()), Err(CertificateFilesError::None(_))));
}
