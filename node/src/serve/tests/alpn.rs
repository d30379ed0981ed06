//! Handshakes of an authority beside those of clients, and a listener whose first certificate is on its way.

use std::sync::Arc;

use axum::Router;
use raft::time::{Clock, Timestamp};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use storage::disk::RealFiles;
use storage::exec::Exec;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::tls::{client, reach_at};
use super::{DEADLINE, Fixed, Running, pem, start_behind};
use crate::serve::{
    ACME_TLS, AlpnAnswers, CertificateFiles, CertificatePair, CertificatePaths, Front, Limits, Protection,
};

/// A pair for the listener.
fn pair(domain: &str) -> (CertificatePair, CertificateDer<'static>) {
    let (certificate, key) = pem(&[domain]);
    let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let read = CertificatePair::new(certificate.as_bytes(), der.secret_der()).unwrap();
    (read, CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
}

/// What answers for `a.example`, and the certificate that it shows.
fn answers() -> (AlpnAnswers, CertificateDer<'static>) {
    let (certificate, key) = pem(&["a.example"]);
    let shown = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    let config = Arc::new(config);
    let find = move |domain: String, _| {
        let found = (domain == "a.example").then(|| Arc::clone(&config));
        Box::pin(async move { found }) as crate::environment::BoxFuture<'static, _>
    };
    (AlpnAnswers::new(find), shown)
}

async fn start(issued: watch::Receiver<Arc<Vec<CertificatePair>>>, answers: Option<AlpnAnswers>) -> Running {
    let clock: Arc<dyn Clock> = Arc::new(Fixed(Timestamp(1_800_000_000_000)));
    let files = CertificateFiles::open(Arc::new(RealFiles), CertificatePaths::default(), clock, Some(issued)).unwrap();
    let protection = Protection::Tls(files.config(), answers);
    tokio::spawn(files.follow(Exec::inline()));
    let router = Router::new().fallback(async || "hello");
    start_behind(Front::default(), router, Limits::clients(64), DEADLINE, protection).await
}

#[tokio::test]
async fn an_authority_is_answered_by_its_own_protocol_and_clients_as_ever() {
    let (own, own_shown) = pair("a.example");
    let (answers, shown) = answers();
    let issued = watch::channel(Arc::new(vec![own])).0;
    let server = start(issued.subscribe(), Some(answers)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let asked = async |domain: &str, protocols: &[&str]| {
            reach_at(server.address, domain, client(&[version], protocols, None)).await
        };
        let mut looked = asked("a.example", &["acme-tls/1"]).await.unwrap();
        assert_eq!(looked.get_ref().1.peer_certificates().unwrap()[0], shown);
        assert_eq!(looked.get_ref().1.alpn_protocol(), Some(ACME_TLS));
        let mut rest = Vec::new();
        // The server ends it, with an alert or without.
        let _ = timeout(DEADLINE, looked.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty(), "nothing is spoken there");
        assert!(asked("b.example", &["acme-tls/1"]).await.is_err(), "a domain that nobody looks at");
        let plain = asked("a.example", &["http/1.1"]).await.unwrap();
        assert_eq!(plain.get_ref().1.peer_certificates().unwrap()[0], own_shown);
    }
    server.end().await;
}

#[tokio::test]
async fn without_a_certificate_handshakes_fail_until_one_comes() {
    let issued = watch::channel(Arc::default()).0;
    let server = start(issued.subscribe(), None).await;
    let config = || client(rustls::ALL_VERSIONS, &["http/1.1"], None);
    assert!(reach_at(server.address, "a.example", config()).await.is_err(), "nothing to show, not even a stop-gap");
    let (own, shown) = pair("a.example");
    issued.send_replace(Arc::new(vec![own]));
    let comes = async {
        loop {
            if let Ok(stream) = reach_at(server.address, "a.example", config()).await {
                return stream.get_ref().1.peer_certificates().unwrap()[0].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    // Well before the next look at the files.
    assert_eq!(timeout(DEADLINE, comes).await.unwrap(), shown);
    server.end().await;
}
