//! One connection: handshake, then requests until it ends or is drained.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{CONNECTION, DATE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use raft::time::{Clock, Timestamp};
use rustls::ServerConfig;
use tokio::time::{Interval, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use super::accept::Tasks;
use super::activity::{Activity, Verdict};
use super::alpn::AlpnAnswers;
use super::callers::{Callers, Standing, serve_member};
use super::client::{Client, ClientCertificate};
use super::crowd::{Crowd, CrowdPlace};
use super::first_bytes::{FirstBytes, Spoken};
use super::framing;
use super::front::Front;
use super::limits::{Limits, Patience};
use super::metrics::Reason;
use super::proxies::{Told, is_forwarded, told};
use super::proxy_protocol::{self, Source};
use super::strangers::Strangers;
use super::tls::TlsConfig;
use crate::environment::{BoxStream, Stream};
use crate::peer::PeerIdentity;

/// How the connections of a listener are secured.
#[derive(Clone)]
pub enum Protection {
    /// Not at all.
    Plaintext,
    /// TLS, for clients. One that shows a certificate which the configuration asks for and trusts is a
    /// [`ClientCertificate`] of its [`Client`]. Authorities that look whether a domain is ours are answered, if there are answers.
    Tls(TlsConfig, Option<AlpnAnswers>),
    /// TLS; a client may show a certificate, and requests then carry a [`PeerIdentity`].
    MutualTls(Arc<ServerConfig>, Arc<dyn Callers>),
}

impl fmt::Debug for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plaintext => "Plaintext",
            Self::Tls(..) => "Tls",
            Self::MutualTls(..) => "MutualTls",
        })
    }
}

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) router: Router,
    pub(super) front: Front,
    pub(super) crowd: Arc<Crowd>,
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
#[derive(Clone)]
struct Remote {
    address: SocketAddr,
    peer: Option<PeerIdentity>,
    secure: bool,
    certificate: Option<Arc<ClientCertificate>>,
    server_name: Option<Arc<str>>,
}

impl Remote {
    fn at(address: SocketAddr) -> Self {
        Self { address, peer: None, secure: false, certificate: None, server_name: None }
    }
}

/// Serves one connection to its end. `drain` lets it finish what it is at.
pub(super) async fn serve_connection(
    shared: Arc<Shared>,
    mut stream: BoxStream,
    address: SocketAddr,
    place: Option<CrowdPlace>,
    drain: CancellationToken,
) {
    let Some((address, _place)) = introduce(&shared, &mut stream, address, place).await else { return };
    let (remote, limits) = (Remote::at(address), shared.limits);
    match &shared.protection {
        Protection::Plaintext => serve_requests(shared, stream, remote, limits, drain).await,
        Protection::Tls(config, answers) => {
            let config = config.load_full();
            if let Some(stream) = client_handshake(&shared, (&config, answers.as_ref()), stream, address).await {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let certificate = shown.map(|certificate| Arc::new(ClientCertificate::read(certificate)));
                let server_name = stream.get_ref().1.server_name().map(|name| name.to_ascii_lowercase().into());
                let remote = Remote { secure: true, certificate, server_name, ..remote };
                serve_requests(shared, stream, remote, limits, drain).await;
            }
        }
        Protection::MutualTls(config, callers) => {
            let place = shared.handshakes.enter();
            let accepted = tokio::select! {
                biased;
                accepted = handshake(&shared, config, stream, address) => accepted,
                () = place.lost() => return debug!(%address, "handshake given up for newer ones"),
            };
            drop(place);
            let Some(stream) = accepted else { return };
            let remote = Remote { secure: true, ..remote };
            let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first) else {
                return serve_stranger(shared, stream, remote, drain).await;
            };
            let Some(peer) = callers.identify(certificate) else {
                return debug!(%address, "the certificate is of no member");
            };
            let (callers, certificate) = (Arc::clone(callers), certificate.clone().into_owned());
            let remote = Remote { peer: Some(peer), ..remote };
            if callers.standing(peer, &certificate) == Standing::Removed {
                // It is told so by the answer to each of its requests, and has no other rights than anybody.
                return serve_stranger(shared, stream, remote, drain).await;
            }
            let drain = drain.child_token();
            let serving = serve_requests(shared, stream, remote, limits, drain.clone());
            serve_member(&callers, (peer, certificate), serving, drain).await;
        }
    }
}

/// Whose connection it is: that of the other end, or of whom a trusted proxy speaks for. `None`: it is let go.
async fn introduce(
    shared: &Shared,
    stream: &mut BoxStream,
    address: SocketAddr,
    place: Option<CrowdPlace>,
) -> Option<(SocketAddr, Option<CrowdPlace>)> {
    let front = &shared.front;
    if !front.proxy_protocol || !front.trusts(address.ip()) {
        return Some((address, place));
    }
    let refused = |reason: Reason, said: &str| {
        front.metrics.refused(shared.name, reason);
        debug!(listener = shared.name, %address, said, "connection of a proxy let go");
        None
    };
    match timeout(shared.limits.handshake_timeout, proxy_protocol::read(stream)).await {
        Ok(Ok(Source::Own)) => Some((address, place)),
        Ok(Ok(Source::Client(client))) if !front.admits(client.ip()) => refused(Reason::Address, "not on the list"),
        Ok(Ok(Source::Client(client))) if front.trusts(client.ip()) => Some((client, None)),
        Ok(Ok(Source::Client(client))) => match shared.crowd.enter(client.ip()) {
            Some(place) => Some((client, Some(place))),
            None => refused(Reason::Crowd, "too many connections of its client"),
        },
        Ok(Err(error)) => refused(Reason::Proxy, &error.to_string()),
        Err(_elapsed) => refused(Reason::Proxy, "no PROXY protocol header in time"),
    }
}

/// The handshake with a client, unless it is an authority that only looks whether a domain is ours: `None` then.
async fn client_handshake(
    shared: &Shared,
    (config, answers): (&Arc<ServerConfig>, Option<&AlpnAnswers>),
    stream: BoxStream,
    address: SocketAddr,
) -> Option<TlsStream<BoxStream>> {
    let Some(answers) = answers else { return handshake(shared, config, stream, address).await };
    match timeout(shared.limits.handshake_timeout, answers.accept(config, stream, address.ip())).await {
        Ok(Ok(accepted)) => return accepted,
        Ok(Err(error)) => debug!(%address, %error, "handshake failed"),
        Err(_elapsed) => debug!(%address, "handshake timed out"),
    }
    None
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
    let (limits, address) = (shared.limits.stranger(), remote.address);
    tokio::select! {
        biased;
        () = place.lost() => debug!(%address, "connection without a certificate given up for newer ones"),
        () = sleep(limits.stranger_lifetime) => debug!(%address, "connection without a certificate ended"),
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
    let activity = Activity::new();
    let (beginning, address) = (activity.clone(), remote.address);
    let remote = Arc::new(remote);
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, remote, under_way) = (Arc::clone(&shared), Arc::clone(&remote), beginning.begin());
        async move {
            let answer = answer(&shared, request, &remote).await;
            Ok::<_, Infallible>(answer.map(|body| under_way.answer(body)))
        }
    });
    let spoken = Spoken::default();
    let stream = FirstBytes::new(stream, spoken.clone());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let silence = sleep(header_timeout);
    tokio::pin!(silence);
    let mut looks = limits.patience.map(|patience| (patience, interval(patience.look())));
    let (mut draining, mut listening, mut warned) = (false, true, false);
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
                    return debug!(%address, "connection without a request");
                }
                listening = false;
            }
            patience = next_look(&mut looks) => match activity.verdict(patience.idle, patience.stall) {
                Verdict::Stays => warned = false,
                Verdict::Stuck => return debug!(%address, "connection ended: its answers are not read"),
                // It was asked to end at the last look, and has not.
                Verdict::Quiet if warned => return debug!(%address, "connection ended: nothing is asked for"),
                Verdict::Quiet => {
                    warned = true;
                    connection.as_mut().graceful_shutdown();
                }
            },
        }
    };
    if let Err(error) = outcome {
        debug!(%address, %error, "connection ended");
    }
}

/// Waits for the next look at a connection, for ever when there is none.
async fn next_look(looks: &mut Option<(Patience, Interval)>) -> Patience {
    match looks {
        Some((patience, interval)) => {
            interval.tick().await;
            *patience
        }
        None => std::future::pending().await,
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>, remote: &Remote) -> Response<Body> {
    let mut request = request.map(Body::new);
    let ambiguity = framing::ambiguity(&request);
    let client = client(shared, &request, remote);
    let secure = client.secure;
    let refusal = if let Some(what) = ambiguity {
        debug!(address = %remote.address, what, "request refused");
        Some(StatusCode::BAD_REQUEST)
    } else if client.address != remote.address.ip().to_canonical() && !shared.front.admits(client.address) {
        shared.front.metrics.refused(shared.name, Reason::Address);
        Some(StatusCode::FORBIDDEN)
    } else {
        None
    };
    let mut response = if let Some(status) = refusal {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        if request.version() < http::Version::HTTP_2 {
            // What follows on this connection may be part of the same trick.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    } else {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(remote.address));
        extensions.insert(client);
        if let Some(peer) = remote.peer {
            extensions.insert(peer);
        }
        match shared.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    response.headers_mut().insert(DATE, date(shared.clock.now()));
    shared.front.headers.apply(response.headers_mut(), secure);
    response
}

/// Who sends a request: the other end, or whom a trusted proxy names.
fn client(shared: &Shared, request: &Request<Body>, remote: &Remote) -> Client {
    let (front, address) = (&shared.front, remote.address.ip());
    let is_trusted = front.trusts(address);
    let Told { address: named, secure, host } =
        if is_trusted { told(request.headers(), front.proxy_headers, &front.trusted_proxies) } else { Told::default() };
    // What a proxy shows is its own: whoever it speaks for has shown nothing here, even one whom it does not name.
    let is_own = !is_trusted || !is_forwarded(request.headers(), front.proxy_headers);
    Client {
        secure: secure.unwrap_or(remote.secure),
        host: host.or_else(|| framing::host(request)),
        certificate: remote.certificate.clone().filter(|_| is_own),
        server_name: remote.server_name.clone().filter(|_| is_own),
        ..Client::at(named.unwrap_or(address))
    }
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
