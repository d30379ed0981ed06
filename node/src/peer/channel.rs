//! Connections to one peer: opened when first used, kept alive, reopened after they broke.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::lanes::Lanes;
use super::metrics::Metrics;
use super::security::Dialled;
use super::status::ConnectFailed;
use super::{Security, limits};
use crate::environment::{BoxStream, Network};

/// Opens connections to one address.
#[derive(Clone)]
struct Connector {
    network: Arc<dyn Network>,
    security: Security,
    /// `None` while a machine joins: it does not know whom it dials.
    dialled: Option<Dialled>,
    address: Arc<str>,
    metrics: Metrics,
    /// When the last attempt failed, if it did.
    failed: Arc<Mutex<Option<Instant>>>,
}

impl Connector {
    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<TokioIo<BoxStream>, String> {
        let failed = *self.failed();
        if let Some(failed) = failed {
            sleep_until(failed + limits::CONNECT_PAUSE).await;
        }
        let connecting =
            async { self.security.secure(self.network.connect(&self.address).await?, self.dialled.as_ref()).await };
        let bound = if self.dialled.as_ref().is_none_or(Dialled::is_far) {
            limits::FAR_CONNECT_TIMEOUT
        } else {
            limits::CONNECT_TIMEOUT
        };
        let connected = match timeout(bound, connecting).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("no connection within {} s", bound.as_secs())),
        };
        self.metrics.connected(connected.is_ok());
        *self.failed() = connected.is_err().then(Instant::now);
        connected
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<BoxStream>;
    type Error = ConnectFailed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            this.connect().await.map_err(|message| ConnectFailed { address: this.address.to_string(), message })
        })
    }
}

/// The connections to one peer at one address.
#[derive(Clone)]
pub(super) struct Link {
    /// `host:port`.
    pub(super) address: Arc<str>,
    /// Small messages: consensus and liveness.
    pub(super) control: Channel,
    /// Shards and snapshots.
    pub(super) bulk: Channel,
    /// Clients' requests that are handed on.
    pub(super) lanes: Arc<Lanes>,
}

impl Link {
    /// Connections to `address`; nothing is opened yet.
    pub(super) fn new(
        network: &Arc<dyn Network>,
        security: &Security,
        dialled: Option<Dialled>,
        address: &str,
        metrics: &Metrics,
    ) -> Self {
        let address: Arc<str> = address.into();
        let connector = Connector {
            network: Arc::clone(network),
            security: security.clone(),
            dialled,
            address: Arc::clone(&address),
            metrics: metrics.clone(),
            failed: Arc::default(),
        };
        let endpoint = endpoint();
        Self {
            address,
            control: endpoint.connect_with_connector_lazy(connector.clone()),
            bulk: endpoint.connect_with_connector_lazy(connector.clone()),
            lanes: Arc::new(Lanes::new(move || endpoint.connect_with_connector_lazy(connector.clone()))),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where a peer is does not matter to HTTP: the connector knows.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://peer")
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_frame_size(limits::HTTP_FRAME_BYTES)
        .http2_keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        // h2 remembers streams that were reset for a while by the system's clock, and the simulator would see how fast
        // it runs. They are forgotten at once; what a peer still sends on them is no error that ends a connection.
        .http2_max_concurrent_reset_streams(0)
        .http2_max_local_error_reset_streams(None)
}
