//! How connections between peers are secured, and who is at the other end.

use std::fmt;
use std::io;
use std::sync::Arc;

use raft::id::NodeId;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::environment::BoxStream;

/// Name that a node's certificate is for.
pub type NameOf = Arc<dyn Fn(NodeId) -> ServerName<'static> + Send + Sync>;

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
    },
    /// No TLS: the simulator only.
    Plaintext,
}

impl Security {
    /// TLS with this configuration; HTTP/2 is the only protocol offered.
    #[must_use]
    pub fn tls(mut client: ClientConfig, server_name: ServerName<'static>) -> Self {
        client.alpn_protocols = vec![b"h2".to_vec()];
        Self::Tls { client: Arc::new(client), server_name, name_of: None }
    }

    /// TLS in which each node has a name of its own.
    #[must_use]
    pub fn tls_of_nodes(client: Arc<ClientConfig>, name_of: NameOf) -> Self {
        Self::Tls { client, server_name: name_of(NodeId(0)), name_of: Some(name_of) }
    }

    /// The same, for connections to this node.
    pub(super) fn towards(&self, node: NodeId) -> Self {
        match self {
            Self::Tls { client, name_of: Some(name_of), .. } => {
                Self::Tls { client: Arc::clone(client), server_name: name_of(node), name_of: None }
            }
            other => other.clone(),
        }
    }

    /// Secures a fresh connection.
    pub(super) async fn secure(&self, stream: BoxStream) -> io::Result<BoxStream> {
        match self {
            Self::Tls { client, server_name, .. } => {
                let connector = TlsConnector::from(Arc::clone(client));
                Ok(Box::new(connector.connect(server_name.clone(), stream).await?))
            }
            Self::Plaintext => Ok(stream),
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
}

/// What the server takes as proof that a caller is a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A [`PeerIdentity`], which comes from a verified client certificate.
    Certificate,
    /// What the caller says: the simulator only, beside [`Security::Plaintext`].
    Claim,
}
