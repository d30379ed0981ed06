//! TLS between peers: version 1.3, both sides with a certificate of the cluster's CA, time from the environment.
//!
//! A client without a certificate is let in as far as the handshake, so that a machine can ask to be admitted; what
//! it may then call is up to the peer service.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use raft::time::Clock;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::credentials::Credentials;

/// Why the TLS set-up failed.
#[derive(Debug, thiserror::Error)]
pub enum PeerTlsError {
    /// Key or certificate are not usable.
    #[error("the node's key and certificate in identity/ cannot be used")]
    Certificate(#[from] rustls::Error),
    /// The private key is damaged.
    #[error("the node's private key identity/node.key is damaged")]
    Key,
    /// The CA's certificate is not usable.
    #[error("the cluster's CA certificate identity/ca.crt cannot be used")]
    Authority(#[from] rustls::server::VerifierBuilderError),
}

/// The TLS configurations of one node towards its peers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PeerTls {
    /// For connections that peers open.
    pub server: Arc<ServerConfig>,
    /// For connections to peers. The caller names the node that it dials.
    pub client: Arc<ClientConfig>,
    current: Arc<Current>,
}

/// The certificate that is shown, exchanged when it is renewed.
struct Current {
    key: ArcSwap<CertifiedKey>,
}

impl fmt::Debug for Current {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl ResolvesClientCert for Current {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The environment's clock as rustls wants it.
#[derive(Debug)]
pub(crate) struct TlsClock(Arc<dyn Clock>);

impl TlsClock {
    /// The clock for a TLS configuration.
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self(Arc::clone(clock))
    }
}

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_millis(self.0.now().0)))
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl PeerTls {
    /// The configurations of a node with these credentials.
    pub fn new(credentials: &Credentials, clock: &Arc<dyn Clock>) -> Result<Self, PeerTlsError> {
        let current = Arc::new(Current { key: ArcSwap::from_pointee(certified_key(credentials)?) });
        let mut roots = RootCertStore::empty();
        roots.add(credentials.authority.clone())?;
        let roots = Arc::new(roots);
        let time: Arc<dyn TimeProvider> = Arc::new(TlsClock::new(clock));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .allow_unauthenticated()
            .build()?;
        let mut server = ServerConfig::builder_with_details(provider(), Arc::clone(&time))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec()];
        // Connections live long, and each is to be checked anew: no resumption.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesClientCert>);
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Self { server: Arc::new(server), client: Arc::new(client), current })
    }

    /// Shows a renewed certificate from now on.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), PeerTlsError> {
        self.current.key.store(Arc::new(certified_key(credentials)?));
        Ok(())
    }
}

/// Key and chain. The chain holds the CA too, which a joining machine compares with its token.
fn certified_key(credentials: &Credentials) -> Result<CertifiedKey, PeerTlsError> {
    let chain: Vec<CertificateDer<'static>> = vec![credentials.certificate.clone(), credentials.authority.clone()];
    let key = credentials.private_key().ok_or(PeerTlsError::Key)?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}
