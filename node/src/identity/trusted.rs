//! Whom a node trusts: certificates of the cluster's CA, or of either of two while the cluster changes from one to the
//! next. Exchanged while the node runs; each handshake is judged by what is trusted when it takes place.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::sync::watch;

use super::certificate::is_issued_by;
use super::credentials::Credentials;
use super::tls::{PeerTlsError, provider};

/// The CAs of one moment, and what checks certificates against them.
struct Judges {
    authorities: Vec<CertificateDer<'static>>,
    of_clients: Arc<dyn ClientCertVerifier>,
    of_servers: Arc<WebPkiServerVerifier>,
}

impl Judges {
    fn new(credentials: &Credentials) -> Result<Self, PeerTlsError> {
        let authorities: Vec<CertificateDer<'static>> = credentials.authorities().cloned().collect();
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone())?;
        }
        let roots = Arc::new(roots);
        let of_clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(PeerTlsError::Authority)?;
        let of_servers =
            WebPkiServerVerifier::builder_with_provider(roots, provider()).build().map_err(PeerTlsError::Authority)?;
        Ok(Self { authorities, of_clients, of_servers })
    }
}

/// Whom a node trusts.
pub(super) struct Trusted {
    judges: ArcSwap<Judges>,
    changes: watch::Sender<u64>,
}

impl Trusted {
    pub(super) fn new(credentials: &Credentials) -> Result<Self, PeerTlsError> {
        Ok(Self { judges: ArcSwap::from_pointee(Judges::new(credentials)?), changes: watch::channel(0).0 })
    }

    /// Trusts these from now on.
    pub(super) fn replace(&self, credentials: &Credentials) -> Result<(), PeerTlsError> {
        self.judges.store(Arc::new(Judges::new(credentials)?));
        self.changes.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Whether one of those that are trusted now has signed a certificate.
    pub(super) fn has_issued(&self, certificate: &CertificateDer<'_>) -> bool {
        self.judges.load().authorities.iter().any(|authority| is_issued_by(certificate, authority))
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl fmt::Debug for Trusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trusted")
            .field("authorities", &self.judges.load().authorities.len())
            .finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Trusted {
    fn client_auth_mandatory(&self) -> bool {
        self.judges.load().of_clients.client_auth_mandatory()
    }

    /// None: all authorities of a cluster have one name, and a node has one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judges.load().of_clients.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judges.load().of_clients.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judges.load().of_clients.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judges.load().of_clients.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judges.load().of_servers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judges.load().of_servers.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judges.load().of_servers.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judges.load().of_servers.supported_verify_schemes()
    }
}
