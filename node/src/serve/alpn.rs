//! Handshakes by which an authority looks whether a domain is ours (`acme-tls/1`, RFC 8737), told from those of clients
//! before any certificate is chosen.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::environment::{BoxFuture, BoxStream};

/// The protocol that such a handshake asks for, alone (RFC 8737 §6.2).
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// Finds the configuration that answers for a domain, to whoever asks at an address.
type Find = dyn Fn(String, IpAddr) -> BoxFuture<'static, Option<Arc<ServerConfig>>> + Send + Sync;

/// Answers such handshakes. Cheap to clone.
#[derive(Clone)]
pub struct AlpnAnswers(Arc<Find>);

impl fmt::Debug for AlpnAnswers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AlpnAnswers")
    }
}

impl AlpnAnswers {
    /// Answers by what is found for a domain and an address that asks.
    pub fn new(
        find: impl Fn(String, IpAddr) -> BoxFuture<'static, Option<Arc<ServerConfig>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(find))
    }

    /// The handshake of a client by `config`; `None` when it was an authority's, which is over with the handshake.
    pub(super) async fn accept(
        &self,
        config: &Arc<ServerConfig>,
        stream: BoxStream,
        address: IpAddr,
    ) -> io::Result<Option<TlsStream<BoxStream>>> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = begun.client_hello();
        let looks = hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_TLS));
        let domain = hello.server_name().map(str::to_owned).filter(|_| looks);
        if let Some(domain) = domain
            && let Some(answer) = (self.0)(domain.clone(), address).await
        {
            let mut stream = begun.into_stream(answer).await?;
            debug!(domain, "an authority has looked whether the domain is ours");
            // Nothing is spoken on such a connection (RFC 8737 §3).
            let _ended = stream.shutdown().await;
            return Ok(None);
        }
        // What is not known is refused as any other protocol that is not spoken here.
        begun.into_stream(Arc::clone(config)).await.map(Some)
    }
}
