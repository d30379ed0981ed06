//! The TLS client of a machine that joins: it knows of the cluster only the fingerprint of its CA, from the token.

use std::sync::Arc;

use raft::time::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

use super::certificate::NodeCertificate;
use super::tls::{PeerTlsError, TlsClock, provider};

/// A client configuration that trusts a server only if it shows a node certificate of the CA with this SHA-256
/// fingerprint. Shows no certificate itself.
pub fn pinned_client(fingerprint: [u8; 32], clock: &Arc<dyn Clock>) -> Result<ClientConfig, PeerTlsError> {
    let verifier = PinnedAuthority { fingerprint, algorithms: provider().signature_verification_algorithms };
    let mut client = ClientConfig::builder_with_details(provider(), Arc::new(TlsClock::new(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    client.resumption = rustls::client::Resumption::disabled();
    Ok(client)
}

/// Accepts any node of one CA, whatever name was dialled.
#[derive(Debug)]
struct PinnedAuthority {
    fingerprint: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let other = || {
            let text = "the server does not belong to the cluster of the join token, or the cluster's certificate authority \
                        has changed since the token was made: make a new one with regnode token";
            Error::General(text.to_owned())
        };
        let authority = intermediates
            .iter()
            .find(|certificate| Sha256::digest(certificate.as_ref()).as_slice() == self.fingerprint)
            .ok_or_else(other)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], now, self.algorithms.all)?;
        NodeCertificate::read(end_entity).map_err(|_| other())?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use raft::id::{NodeId, RegionId};
    use raft::time::Timestamp;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::super::certificate::server_name;
    use super::super::credentials::Credentials;
    use super::super::{Authority, CertificateRequest, ClusterId, ClusterKey, PeerTls, generate_key};
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[derive(Debug)]
    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    fn clock(now: Timestamp) -> Arc<dyn Clock> {
        Arc::new(At(now))
    }

    fn authority(cluster: u8) -> Authority {
        Authority::generate(ClusterId([cluster; 16]), NOW).unwrap()
    }

    fn node(authority: &Authority, id: u64) -> Credentials {
        let key = generate_key().unwrap();
        let request = CertificateRequest::new(&key).unwrap();
        Credentials {
            certificate: authority.sign((NodeId(id), RegionId(1)), &request.0, NOW).unwrap(),
            authority: authority.certificate().clone(),
            also: Vec::new(),
            cluster_key: ClusterKey([0; 32]),
            key,
        }
    }

    /// Client's and server's view of a handshake; the server's is the certificate that the client showed.
    async fn handshake(
        server: &PeerTls,
        client: ClientConfig,
        name: &str,
    ) -> (Result<(), std::io::Error>, Result<Option<NodeCertificate>, std::io::Error>) {
        let (left, right) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connect = async { TlsConnector::from(Arc::new(client)).connect(name, left).await };
        let accept = async { TlsAcceptor::from(Arc::clone(&server.server)).accept(right).await };
        let (connected, accepted) = tokio::join!(connect, accept);
        let shown = accepted.map(|stream| {
            stream.get_ref().1.peer_certificates().map(|chain| NodeCertificate::read(&chain[0]).unwrap())
        });
        (connected.map(|_| ()), shown)
    }

    #[tokio::test]
    async fn peers_of_one_cluster_know_each_other() {
        let authority = authority(1);
        let server = PeerTls::new(&node(&authority, 1), &clock(NOW)).unwrap();
        let client = PeerTls::new(&node(&authority, 2), &clock(NOW)).unwrap();
        let name = server_name(NodeId(1), ClusterId([1; 16]));
        let (connected, accepted) = handshake(&server, (*client.client).clone(), &name).await;
        connected.unwrap();
        assert_eq!(accepted.unwrap().unwrap().node, NodeId(2));
    }

    #[tokio::test]
    async fn a_node_does_not_pass_for_another_one() {
        let authority = authority(1);
        let server = PeerTls::new(&node(&authority, 1), &clock(NOW)).unwrap();
        let client = PeerTls::new(&node(&authority, 2), &clock(NOW)).unwrap();
        let name = server_name(NodeId(3), ClusterId([1; 16]));
        assert!(handshake(&server, (*client.client).clone(), &name).await.0.is_err());
    }

    #[tokio::test]
    async fn clusters_do_not_talk_to_each_other() {
        let (ours, theirs) = (authority(1), authority(2));
        let server = PeerTls::new(&node(&ours, 1), &clock(NOW)).unwrap();
        let client = PeerTls::new(&node(&theirs, 1), &clock(NOW)).unwrap();
        let name = server_name(NodeId(1), ClusterId([1; 16]));
        let (connected, accepted) = handshake(&server, (*client.client).clone(), &name).await;
        assert!(connected.is_err() && accepted.is_err());
    }

    #[tokio::test]
    async fn an_expired_certificate_is_refused() {
        let authority = authority(1);
        let later = NOW.plus_seconds(2 * 365 * 24 * 3600);
        let server = PeerTls::new(&node(&authority, 1), &clock(later)).unwrap();
        let client = PeerTls::new(&node(&authority, 2), &clock(later)).unwrap();
        let name = server_name(NodeId(1), ClusterId([1; 16]));
        assert!(handshake(&server, (*client.client).clone(), &name).await.0.is_err());
    }

    #[tokio::test]
    async fn a_joining_machine_trusts_the_cluster_of_its_token_only() {
        let (ours, theirs) = (authority(1), authority(2));
        let server = PeerTls::new(&node(&ours, 1), &clock(NOW)).unwrap();
        let pin = |authority: &Authority| {
            pinned_client(Sha256::digest(authority.certificate().as_ref()).into(), &clock(NOW)).unwrap()
        };
        let (connected, accepted) = handshake(&server, pin(&ours), "10.0.0.1").await;
        connected.unwrap();
        assert_eq!(accepted.unwrap(), None, "it shows no certificate");
        let error = handshake(&server, pin(&theirs), "10.0.0.1").await.0.unwrap_err();
        assert!(error.to_string().contains("does not belong to the cluster"), "{error}");
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_at_once() {
        let authority = authority(1);
        let credentials = node(&authority, 1);
        let later = NOW.plus_seconds(400 * 24 * 3600);
        let server = PeerTls::new(&credentials, &clock(later)).unwrap();
        let pin = || pinned_client(Sha256::digest(authority.certificate().as_ref()).into(), &clock(later)).unwrap();
        assert!(handshake(&server, pin(), "10.0.0.1").await.0.is_err(), "it has expired");
        let certificate = authority.renew((NodeId(1), RegionId(1)), &credentials.key, later).unwrap();
        server.replace(&Credentials { certificate, ..credentials }).unwrap();
        handshake(&server, pin(), "10.0.0.1").await.0.unwrap();
    }
}
