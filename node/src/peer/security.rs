//! How connections between peers are secured, and who is at the other end.

use std::fmt;
use std::io;
use std::sync::Arc;

use raft::id::{NodeId, RegionId};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::region_book::RegionBook;
use crate::environment::BoxStream;

/// Name that a node's certificate is for.
pub type NameOf = Arc<dyn Fn(NodeId) -> ServerName<'static> + Send + Sync>;

/// Region that a certificate is for; `None` for one that names none.
pub type RegionOf = Arc<dyn Fn(&CertificateDer<'_>) -> Option<RegionId> + Send + Sync>;

/// The node that is dialled.
#[derive(Clone, Debug)]
pub(super) struct Dialled {
    pub(super) node: NodeId,
    pub(super) regions: RegionBook,
}

/// How connections to peers are secured.
#[derive(Clone)]
pub enum Security {
    /// TLS; mutual when the configuration holds a client certificate.
    Tls {
        /// Trusts the cluster's CA; shows this node's certificate.
        client: Arc<ClientConfig>,
        /// Name that the server's certificate must be for, when it is not known which node is dialled.
        server_name: ServerName<'static>,
        /// Name that a node's certificate must be for: a node cannot pass for another one.
        name_of: Option<NameOf>,
        /// Region that a node's certificate is for: a node cannot pass for one of another region.
        region_of: Option<RegionOf>,
    },
    /// No TLS: the simulator only.
    Plaintext,
}

impl Security {
    /// TLS with this configuration; HTTP/2 is the only protocol offered.
    #[must_use]
    pub fn tls(mut client: ClientConfig, server_name: ServerName<'static>) -> Self {
        client.alpn_protocols = vec![b"h2".to_vec()];
        Self::Tls { client: Arc::new(client), server_name, name_of: None, region_of: None }
    }

    /// TLS in which each node has a name of its own, and says in which region it is.
    #[must_use]
    pub fn tls_of_nodes(client: Arc<ClientConfig>, name_of: NameOf, region_of: RegionOf) -> Self {
        let (server_name, region_of) = (name_of(NodeId(0)), Some(region_of));
        Self::Tls { client, server_name, name_of: Some(name_of), region_of }
    }

    /// The same, for connections to this node.
    pub(super) fn towards(&self, node: NodeId) -> Self {
        match self {
            Self::Tls { client, name_of: Some(name_of), region_of, .. } => Self::Tls {
                client: Arc::clone(client),
                server_name: name_of(node),
                name_of: None,
                region_of: region_of.clone(),
            },
            other => other.clone(),
        }
    }

    /// Secures a fresh connection, to the node that is dialled if it is known which one that is.
    pub(super) async fn secure(&self, stream: BoxStream, dialled: Option<&Dialled>) -> io::Result<BoxStream> {
        match self {
            Self::Tls { client, server_name, region_of, .. } => {
                let connector = TlsConnector::from(Arc::clone(client));
                let secured = connector.connect(server_name.clone(), stream).await?;
                if let (Some(region_of), Some(dialled)) = (region_of, dialled) {
                    dialled.check(&secured, region_of)?;
                }
                Ok(Box::new(secured))
            }
            Self::Plaintext => Ok(stream),
        }
    }
}

impl Dialled {
    /// Whether it is in another region.
    pub(super) fn is_far(&self) -> bool {
        self.regions.is_far(self.node)
    }

    /// Compares the region that the other end's certificate names with the one that the directory has for the node.
    fn check(&self, secured: &TlsStream<BoxStream>, region_of: &RegionOf) -> io::Result<()> {
        // A node that the directory is not known to have yet was signed for by the cluster's CA all the same.
        let Some(expected) = self.regions.get(self.node) else { return Ok(()) };
        let chain = secured.get_ref().1.peer_certificates().unwrap_or_default();
        match chain.first().and_then(|certificate| region_of(certificate)) {
            Some(shown) if shown == expected => Ok(()),
            shown => {
                let shown = shown.map_or_else(|| "no region".to_owned(), |region| format!("region {region}"));
                let message = format!("node {} shows a certificate of {shown}, but is of region {expected}", self.node);
                Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
            }
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { server_name, .. } => formatter.debug_tuple("Tls").field(server_name).finish(),
            Self::Plaintext => formatter.write_str("Plaintext"),
        }
    }
}

/// The peer at the other end of a connection. The accept loop puts it into a request's extensions once the client's
/// certificate was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The node that the certificate was issued for.
    pub node: NodeId,
    /// The region that it names.
    pub region: RegionId,
}

/// What the server takes as proof that a caller is a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A [`PeerIdentity`], which comes from a verified client certificate.
    Certificate,
    /// What the caller says: the simulator only, beside [`Security::Plaintext`].
    Claim,
}

#[cfg(test)]
mod tests {
    use raft::time::{Clock, Timestamp};
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::identity::{
        Authority, CertificateRequest, ClusterId, ClusterKey, Credentials, NodeCertificate, PeerTls, generate_key,
        server_name,
    };
    use crate::peer::testing::FixedClock;

    const NOW: u64 = 1_800_000_000_000;
    const CLUSTER: ClusterId = ClusterId([1; 16]);

    fn tls(authority: &Authority, node: u64, region: u32) -> PeerTls {
        let key = generate_key().unwrap();
        let request = CertificateRequest::new(&key).unwrap();
        let credentials = Credentials {
            certificate: authority.sign((NodeId(node), RegionId(region)), &request.0, Timestamp(NOW)).unwrap(),
            authority: authority.certificate().clone(),
            also: Vec::new(),
            cluster_key: ClusterKey([0; 32]),
            key,
        };
        let clock: Arc<dyn Clock> = Arc::new(FixedClock(NOW));
        PeerTls::new(&credentials, &clock).unwrap()
    }

    #[tokio::test]
    async fn a_certificate_has_to_name_the_region_that_the_directory_has() {
        let authority = Authority::generate(CLUSTER, Timestamp(NOW)).unwrap();
        let (server, client) = (tls(&authority, 1, 2), tls(&authority, 2, 1));
        let name_of = |node| ServerName::try_from(server_name(node, CLUSTER)).unwrap();
        let region_of = |certificate: &CertificateDer<'_>| Some(NodeCertificate::read(certificate).ok()?.region);
        let security = Security::tls_of_nodes(Arc::clone(&client.client), Arc::new(name_of), Arc::new(region_of));
        let regions = RegionBook::new(RegionId(1));
        let dialled = Dialled { node: NodeId(1), regions: regions.clone() };
        let connect = async || {
            let (near, far) = tokio::io::duplex(1 << 16);
            let acceptor = TlsAcceptor::from(Arc::clone(&server.server));
            let accepting = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
            let outcome = security.towards(NodeId(1)).secure(Box::new(near), Some(&dialled)).await.map(drop);
            accepting.await.unwrap().unwrap();
            outcome
        };
        connect().await.unwrap();
        regions.learn(NodeId(1), RegionId(2));
        connect().await.unwrap();
        regions.learn(NodeId(1), RegionId(3));
        let refused = connect().await.unwrap_err();
        assert_eq!(refused.to_string(), "node 1 shows a certificate of region 2, but is of region 3");
    }
}
