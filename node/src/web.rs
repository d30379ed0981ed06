//! A small client for the web: one request, one bounded answer, one deadline.
//!
//! What runs beside the registry is asked with it: issuers of tokens for their keys, receivers of the audit log.
//! HTTP/1.1 over the environment's network; TLS by rustls with the system's authorities or one that is given.
//!
//! Architecture invariants: redirects are never followed, so nobody can send the node elsewhere; no answer is longer than
//! its caller allows; no request outlives its deadline; names and passwords inside URLs are refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use raft::time::Clock;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use storage::exec::Exec;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::environment::{BoxStream, Environment, Network};
use crate::identity::TlsClock;

/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Most header fields of an answer.
const HEADERS_MAX: usize = 100;

/// Why a request got no answer. None of them says whether the other side has acted on the request.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The URL cannot be used.
    #[error("{url:?} is no URL that can be asked: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The authorities cannot be used.
    #[error("the certificates to trust cannot be used: {0}")]
    Authorities(String),
    /// No connection.
    #[error("no connection to {address}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No TLS.
    #[error("no TLS with {address}")]
    Tls {
        /// `host:port`.
        address: String,
        /// What is wrong, such as a certificate of an unknown authority.
        source: std::io::Error,
    },
    /// The exchange broke.
    #[error("the exchange with {address} broke")]
    Exchange {
        /// `host:port`.
        address: String,
        /// How.
        source: hyper::Error,
    },
    /// The answer is longer than allowed.
    #[error("the answer of {address} is longer than {limit_bytes} bytes")]
    TooLong {
        /// `host:port`.
        address: String,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// No answer in time.
    #[error("{address} did not answer within {seconds} s")]
    Late {
        /// `host:port`.
        address: String,
        /// The deadline.
        seconds: u64,
    },
}

/// Whether URLs without TLS are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// Never.
    Refused,
    /// Only to this machine.
    Loopback,
    /// Whatever the operator has written.
    Allowed,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct WebLimits {
    /// Time for all of it: connection, request and answer.
    pub deadline: Duration,
    /// Most bytes of the answer's body.
    pub body_bytes_max: usize,
    /// Whether it may go without TLS.
    pub plaintext: Plaintext,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// `GET` or `POST`, mostly.
    pub method: Method,
    /// Absolute URL, `https://…` or `http://…`.
    pub url: String,
    /// Fields besides `Host`, `Content-Length`, `User-Agent` and `Connection`.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
}

impl WebRequest {
    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: Method::GET, url: url.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A `POST` of a body of this type.
    pub fn post(url: impl Into<String>, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, url: url.into(), headers, body: body.into() }
    }
}

/// What came back, whatever its status: a redirect is an answer like another.
#[derive(Clone, Debug)]
pub struct WebResponse {
    /// Status.
    pub status: StatusCode,
    /// Fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WebClient {
    network: Arc<dyn Network>,
    clock: Arc<dyn Clock>,
    exec: Exec,
    /// Made at the first need: reading the system's authorities takes a while, and the simulator has none.
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    secure: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    /// `host:port`, as the network takes it.
    address: String,
    /// As the `Host` field has it.
    authority: String,
    path: String,
}

impl WebClient {
    /// A client that trusts the system's authorities.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        Self {
            network: Arc::clone(&environment.network),
            clock: Arc::clone(&environment.clock),
            exec: environment.exec,
            tls: Arc::new(OnceCell::new()),
        }
    }

    /// The same, but it trusts only these certificates, PEM, one or more.
    pub fn with_authorities(&self, pem: &str) -> Result<Self, WebError> {
        let config = client_config(roots_of(pem)?, &self.clock)?;
        Ok(Self { tls: Arc::new(OnceCell::new_with(Some(config))), ..self.clone() })
    }

    /// Sends a request and reads its answer.
    pub async fn send(&self, request: WebRequest, limits: WebLimits) -> Result<WebResponse, WebError> {
        let target = Target::of(&request.url, limits.plaintext)?;
        let address = target.address.clone();
        match timeout(limits.deadline, self.exchange(request, target, limits.body_bytes_max)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(WebError::Late { address, seconds: limits.deadline.as_secs() }),
        }
    }

    /// A bare TLS connection to `host:port`, for protocols other than HTTP. Callers set a deadline.
    pub async fn connect_tls(&self, address: &str) -> Result<BoxStream, WebError> {
        let target = Target::of(&format!("https://{address}/"), Plaintext::Refused)?;
        self.connect(&target).await
    }

    async fn connect(&self, target: &Target) -> Result<BoxStream, WebError> {
        let address = &target.address;
        let stream = self
            .network
            .connect(address)
            .await
            .map_err(|source| WebError::Connect { address: address.clone(), source })?;
        if !target.secure {
            return Ok(stream);
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| WebError::Url { url: address.clone(), reason: "its host is no name" })?;
        let stream = TlsConnector::from(self.tls().await?)
            .connect(name, stream)
            .await
            .map_err(|source| WebError::Tls { address: address.clone(), source })?;
        Ok(Box::new(stream))
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, WebError> {
        let made = self.tls.get_or_try_init(|| async {
            let roots = self.exec.run(system_roots).await;
            client_config(roots?, &self.clock)
        });
        Ok(Arc::clone(made.await?))
    }

    async fn exchange(&self, request: WebRequest, target: Target, limit_bytes: usize) -> Result<WebResponse, WebError> {
        let address = target.address.clone();
        let broken = |source| WebError::Exchange { address: address.clone(), source };
        let stream = self.connect(&target).await?;
        let request = assemble(request, &target)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limit_bytes).collect().await.map_err(|error| {
                match error.downcast::<hyper::Error>() {
                    Ok(source) => broken(*source),
                    Err(other) => {
                        debug_assert!(other.is::<LengthLimitError>(), "the limit is the only other reason");
                        WebError::TooLong { address: address.clone(), limit_bytes }
                    }
                }
            })?;
            Ok(WebResponse { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            answer = &mut answer => answer,
            // What has arrived is still to be read: the answer itself tells how it ended.
            _ended = &mut connection => answer.await,
        }
    }
}

fn assemble(request: WebRequest, target: &Target) -> Result<Request<Full<Bytes>>, WebError> {
    let bad = |reason| WebError::Url { url: request.url.clone(), reason };
    let mut assembled = Request::new(Full::new(request.body.clone()));
    *assembled.method_mut() = request.method;
    *assembled.uri_mut() = target.path.parse().map_err(|_| bad("its path cannot be sent"))?;
    let headers = assembled.headers_mut();
    *headers = request.headers;
    headers.insert(HOST, HeaderValue::from_str(&target.authority).map_err(|_| bad("its host is no name"))?);
    headers.insert(USER_AGENT, HeaderValue::from_static("regnode"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if !request.body.is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    Ok(assembled)
}

impl Target {
    fn of(url: &str, plaintext: Plaintext) -> Result<Self, WebError> {
        let bad = |reason| WebError::Url { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| bad("it cannot be read"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("https://… is expected")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a name or password inside it is never sent"));
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if bare.is_empty() {
            return Err(bad("it names no host"));
        }
        let may = match plaintext {
            _ if secure => true,
            Plaintext::Refused => false,
            Plaintext::Loopback => is_loopback(bare),
            Plaintext::Allowed => true,
        };
        if !may {
            return Err(bad("only https:// is taken here"));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() != host => return Err(bad("its port is none")),
            None if secure => 443,
            None => 80,
        };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Ok(Self {
            secure,
            host: bare.to_owned(),
            address: format!("{host}:{port}"),
            authority: authority.as_str().to_owned(),
            path,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a URL can be asked under these rules. For checks of settings and records before they are kept.
pub fn check_url(url: &str, plaintext: Plaintext) -> Result<(), WebError> {
    Target::of(url, plaintext).map(drop)
}

/// A TLS configuration that trusts the certificates of a PEM text.
pub(crate) fn tls_with_authorities(pem: &str, clock: &Arc<dyn Clock>) -> Result<Arc<ClientConfig>, WebError> {
    client_config(roots_of(pem)?, clock)
}

/// A TLS configuration that trusts the system's authorities. Blocks: it reads files.
pub(crate) fn tls_with_system(clock: &Arc<dyn Clock>) -> Result<Arc<ClientConfig>, WebError> {
    client_config(system_roots()?, clock)
}

fn client_config(roots: RootCertStore, clock: &Arc<dyn Clock>) -> Result<Arc<ClientConfig>, WebError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(TlsClock::new(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|error| WebError::Authorities(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots_of(pem: &str) -> Result<RootCertStore, WebError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| WebError::Authorities(error.to_string()))?;
        roots.add(certificate).map_err(|error| WebError::Authorities(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(WebError::Authorities("PEM with one certificate or more is expected".to_owned()));
    }
    Ok(roots)
}

/// Certificates that cannot be read are passed over, as everywhere: systems carry old ones.
fn system_roots() -> Result<RootCertStore, WebError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_taken, _passed_over) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(WebError::Authorities(format!(
            "this machine has no trusted authorities ({}); install its package of CA certificates, or give the authority",
            reasons.join("; ")
        )));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
