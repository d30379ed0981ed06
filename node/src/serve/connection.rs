//! One connection: handshake, then requests until it ends or is drained.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::DATE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use raft::time::{Clock, Timestamp};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use super::accept::Tasks;
use super::first_bytes::{FirstBytes, Spoken};
use super::limits::Limits;
use super::strangers::Strangers;
use crate::environment::{BoxStream, Stream};
use crate::peer::PeerIdentity;

/// Says which peer a verified client certificate belongs to; `None` refuses it.
pub type Identify = Arc<dyn Fn(&CertificateDer<'_>) -> Option<PeerIdentity> + Send + Sync>;

/// How the connections of a listener are secured.
#[derive(Clone)]
pub enum Protection {
    /// Not at all.
    Plaintext,
    /// TLS; no client certificates.
    Tls(Arc<ServerConfig>),
    /// TLS; a client may show a certificate, and requests then carry a [`PeerIdentity`].
    MutualTls(Arc<ServerConfig>, Identify),
}

impl fmt::Debug for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plaintext => "Plaintext",
            Self::Tls(_) => "Tls",
            Self::MutualTls(..) => "MutualTls",
        })
    }
}

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) protection: Protection,
    pub(super) limits: Limits,
    /// Connections that may still show a certificate.
    pub(super) handshakes: Arc<Strangers>,
    /// Connections that have shown none.
    pub(super) strangers: Arc<Strangers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
}

/// What is known of the other end.
#[derive(Clone, Copy)]
struct Remote {
    address: SocketAddr,
    peer: Option<PeerIdentity>,
}

/// Serves one connection to its end. `drain` lets it finish what it is at.
pub(super) async fn serve_connection(
    shared: Arc<Shared>,
    stream: BoxStream,
    address: SocketAddr,
    drain: CancellationToken,
) {
    let (remote, limits) = (Remote { address, peer: None }, shared.limits);
    match &shared.protection {
        Protection::Plaintext => serve_requests(shared, stream, remote, limits, drain).await,
        Protection::Tls(config) => {
            if let Some(stream) = handshake(&shared, config, stream, address).await {
                serve_requests(shared, stream, remote, limits, drain).await;
            }
        }
        Protection::MutualTls(config, identify) => {
            let place = shared.handshakes.enter();
            let accepted = tokio::select! {
                biased;
                accepted = handshake(&shared, config, stream, address) => accepted,
                () = place.lost() => return debug!(%address, "handshake given up for newer ones"),
            };
            drop(place);
            let Some(stream) = accepted else { return };
            let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first) else {
                return serve_stranger(shared, stream, remote, drain).await;
            };
            let Some(peer) = identify(certificate) else {
                return debug!(%address, "the certificate is of no member");
            };
            serve_requests(shared, stream, Remote { peer: Some(peer), ..remote }, limits, drain).await;
        }
    }
}

/// The handshake of one connection; `None` when it fails or takes too long.
async fn handshake(
    shared: &Shared,
    config: &Arc<ServerConfig>,
    stream: BoxStream,
    address: SocketAddr,
) -> Option<TlsStream<BoxStream>> {
    let accepting = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    match timeout(shared.limits.handshake_timeout, accepting).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => debug!(%address, %error, "handshake failed"),
        Err(_elapsed) => debug!(%address, "handshake timed out"),
    }
    None
}

/// Serves a client that could have shown a certificate: for a while, and until too many newer ones come.
async fn serve_stranger(shared: Arc<Shared>, stream: impl Stream, remote: Remote, drain: CancellationToken) {
    let place = shared.strangers.enter();
    let limits = shared.limits.stranger();
    tokio::select! {
        biased;
        () = place.lost() => debug!(address = %remote.address, "connection without a certificate given up for newer ones"),
        () = sleep(limits.stranger_lifetime) => debug!(address = %remote.address, "connection without a certificate ended"),
        () = serve_requests(shared, stream, remote, limits, drain) => {}
    }
}

async fn serve_requests(
    shared: Arc<Shared>,
    stream: impl Stream,
    remote: Remote,
    limits: Limits,
    drain: CancellationToken,
) {
    let builder = limits.builder(shared.tasks.clone());
    let header_timeout = limits.header_timeout;
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request, remote).await) }
    });
    let spoken = Spoken::default();
    let stream = FirstBytes::new(stream, spoken.clone());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let silence = sleep(header_timeout);
    tokio::pin!(silence);
    let (mut draining, mut listening) = (false, true);
    let outcome = loop {
        tokio::select! {
            outcome = &mut connection => break outcome,
            () = drain.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut silence, if listening => {
                // Asked now: the branch's condition is of the time when the wait began.
                if !spoken.is_heard() {
                    return debug!(address = %remote.address, "connection without a request");
                }
                listening = false;
            }
        }
    };
    if let Err(error) = outcome {
        debug!(address = %remote.address, %error, "connection ended");
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>, remote: Remote) -> Response<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(remote.address));
    if let Some(peer) = remote.peer {
        request.extensions_mut().insert(peer);
    }
    let mut response = match shared.router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    response.headers_mut().insert(DATE, date(shared.clock.now()));
    response
}

/// A moment as the `Date` header has it.
fn date(now: Timestamp) -> HeaderValue {
    // The format ends with the year 9999.
    let milliseconds = now.0.min(253_402_300_799_000);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(milliseconds));
    HeaderValue::from_str(&text).expect("a date is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(date(Timestamp(784_111_777_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(Timestamp(u64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
