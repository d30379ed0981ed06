//! TLS between peers: version 1.3, both sides with a certificate of the cluster's CA, time from the environment.
//!
//! What a node shows and whom it trusts (`trusted`) can be exchanged while it runs; connections that are open then are not
//! touched here.
//!
//! A client without a certificate is let in as far as the handshake, so that a machine can ask to be admitted; what
//! it may then call is up to the peer service.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use raft::time::Clock;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use super::credentials::Credentials;
use super::trusted::Trusted;

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
    Authority(#[source] rustls::server::VerifierBuilderError),
}

/// The TLS configurations of one node towards its peers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PeerTls {
    /// For connections that peers open.
    pub server: Arc<ServerConfig>,
    /// For connections to peers. The caller names the node that it dials.
    pub client: Arc<ClientConfig>,
    current: Arc<Current>,
    trusted: Arc<Trusted>,
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
        let trusted = Arc::new(Trusted::new(credentials)?);
        let time: Arc<dyn TimeProvider> = Arc::new(TlsClock::new(clock));
        let mut server = ServerConfig::builder_with_details(provider(), Arc::clone(&time))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::clone(&trusted) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec()];
        // Connections live long, and each is to be checked anew: no resumption.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&trusted) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesClientCert>);
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Self { server: Arc::new(server), client: Arc::new(client), current, trusted })
    }

    /// Shows another certificate and trusts other CAs from now on. Connections that are open stay so.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), PeerTlsError> {
        let key = certified_key(credentials)?;
        self.trusted.replace(credentials)?;
        self.current.key.store(Arc::new(key));
        Ok(())
    }

    /// Whether a certificate is of a CA that is trusted now. When it is valid is not looked at.
    #[must_use]
    pub fn trusts(&self, certificate: &CertificateDer<'_>) -> bool {
        self.trusted.has_issued(certificate)
    }

    /// Tells when other CAs are trusted than before.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.trusted.changes()
    }
}

/// Key and chain. The chain holds the CA too, which a joining machine compares with its token.
fn certified_key(credentials: &Credentials) -> Result<CertifiedKey, PeerTlsError> {
    let chain: Vec<CertificateDer<'static>> = vec![credentials.certificate.clone(), credentials.authority.clone()];
    let key = credentials.private_key().ok_or(PeerTlsError::Key)?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}
