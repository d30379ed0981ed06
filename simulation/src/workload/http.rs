//! One HTTP/1.1 exchange over a connection of the surroundings' network, with a deadline, broken off where it is to be.
//!
//! A connection is driven only while an exchange runs on it, so that dropping it is all it takes to hang up. What came
//! of an answer that broke off is handed out: it must have been right so far.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use node::environment::Network;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Longest time to make a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes that the body is handed over in.
const FRAME_BYTES: usize = 16 << 10;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers besides `Host` and those of the body's framing.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Bytes,
    /// Whether the body goes out in chunks of the transfer encoding, without a length.
    pub chunked: bool,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Bytes::new(), chunked: false }
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }
}

/// Where a client hangs up, although nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// After so many bytes of the request's body; after all of them it does not wait for the answer.
    Sending(usize),
    /// After so many bytes of the answer's body.
    Receiving(usize),
}

/// How an exchange goes.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Longest time for all of it.
    pub deadline: Duration,
    /// Where the client hangs up.
    pub hang_up: Option<HangUp>,
    /// How long the client holds still before it hangs up while sending.
    pub linger: Duration,
}

/// An answer that is complete.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A header as text; empty when it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }
}

/// A header as text; empty when it is missing or no text.
#[must_use]
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing of the request was sent.
    Unsent(String),
    /// The client hung up before the whole body was sent.
    HungUpSending,
    /// The client hung up later.
    HungUp,
    /// The connection broke, or the deadline passed.
    Lost(String),
}

/// An exchange without a complete answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// What came of the answer, if its head did.
    pub partial: Option<Box<Answer>>,
}

impl Failure {
    /// Whether the request may have had an effect, or may have one later. One whose body was not complete has none.
    #[must_use]
    pub const fn may_have_had_effect(&self) -> bool {
        !matches!(self.cause, Cause::Unsent(_) | Cause::HungUpSending)
    }

    #[expect(clippy::needless_pass_by_value, reason = "made to be passed to map_err")]
    fn unsent(reason: impl ToString) -> Self {
        Self { cause: Cause::Unsent(reason.to_string()), partial: None }
    }
}

/// A connection to a node's API.
pub struct Connection {
    host: String,
    sender: SendRequest<Outgoing>,
    driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// [`Cause::Unsent`] when it cannot be made within five seconds.
    pub async fn open(network: &dyn Network, address: &str) -> Result<Self, Failure> {
        let connect = timeout(CONNECT_DEADLINE, network.connect(address)).await;
        let stream = connect.map_err(Failure::unsent)?.map_err(Failure::unsent)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(Failure::unsent)?;
        Ok(Self { host: address.to_owned(), sender, driver: Box::pin(driver) })
    }

    /// Sends a request and reads the whole answer. After a failure the connection must not be used again.
    ///
    /// # Errors
    /// [`Failure`], which says whether the request may have had an effect.
    pub async fn exchange(&mut self, request: &Request, manner: Manner) -> Result<Answer, Failure> {
        let deadline = Instant::now() + manner.deadline;
        let (reached, mut at_end) = oneshot::channel();
        let stop_after = match manner.hang_up {
            Some(HangUp::Sending(bytes)) => Some(bytes.min(request.body.len())),
            _ => None,
        };
        let whole = stop_after.is_none_or(|bytes| bytes == request.body.len());
        let body = Outgoing::new(request, stop_after, reached);
        let message = message(request, &self.host, body).map_err(Failure::unsent)?;
        let read_bytes_max = match manner.hang_up {
            Some(HangUp::Receiving(bytes)) => bytes,
            _ => usize::MAX,
        };
        let mut received = Received::default();
        let cause = {
            let answer = receive(&mut self.sender, message, read_bytes_max, &mut received);
            tokio::pin!(answer);
            let mut driven = true;
            let mut watched = stop_after.is_some();
            loop {
                tokio::select! {
                    biased;
                    ended = &mut answer => break ended.err(),
                    // What it had read is still to be taken by the answer.
                    _ = &mut self.driver, if driven => driven = false,
                    told = &mut at_end, if watched => {
                        watched = false;
                        if told.is_err() {
                            // The body was dropped before that point: an answer came early.
                            continue;
                        }
                        let lingered = sleep(manner.linger);
                        tokio::pin!(lingered);
                        break linger(answer.as_mut(), self.driver.as_mut(), driven, lingered, whole).await;
                    }
                    () = tokio::time::sleep_until(deadline) => {
                        break Some(Cause::Lost("no complete answer within the deadline".to_owned()));
                    }
                }
            }
        };
        match (cause, received.into_answer()) {
            (None, Some(answer)) => Ok(answer),
            (None, None) => Err(Failure { cause: Cause::Lost("no answer".to_owned()), partial: None }),
            (Some(cause), partial) => Err(Failure { cause, partial: partial.map(Box::new) }),
        }
    }

    /// Whether another exchange may be tried.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }
}

/// The client holds still for a while before it hangs up; an answer that comes meanwhile counts.
async fn linger(
    mut answer: Pin<&mut (impl Future<Output = Result<(), Cause>> + Send)>,
    mut driver: Pin<&mut (dyn Future<Output = hyper::Result<()>> + Send)>,
    mut driven: bool,
    mut lingered: Pin<&mut tokio::time::Sleep>,
    whole: bool,
) -> Option<Cause> {
    loop {
        tokio::select! {
            biased;
            ended = &mut answer => return ended.err(),
            _ = &mut driver, if driven => driven = false,
            () = &mut lingered => return Some(if whole { Cause::HungUp } else { Cause::HungUpSending }),
        }
    }
}

/// Does one exchange on a connection of its own.
///
/// # Errors
/// [`Failure`].
pub async fn once(network: &dyn Network, address: &str, request: &Request, manner: Manner) -> Result<Answer, Failure> {
    let deadline = Instant::now() + manner.deadline;
    let connection = timeout_at(deadline, Connection::open(network, address)).await;
    connection.map_err(Failure::unsent)??.exchange(request, manner).await
}

fn message(request: &Request, host: &str, body: Outgoing) -> http::Result<http::Request<Outgoing>> {
    let mut builder = http::Request::builder().method(&request.method).uri(&request.path).header(header::HOST, host);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body)
}

#[derive(Default)]
struct Received {
    head: Option<(u16, HeaderMap)>,
    body: BytesMut,
}

impl Received {
    fn into_answer(self) -> Option<Answer> {
        let (status, headers) = self.head?;
        Some(Answer { status, headers, body: self.body.freeze() })
    }
}

async fn receive(
    sender: &mut SendRequest<Outgoing>,
    message: http::Request<Outgoing>,
    read_bytes_max: usize,
    received: &mut Received,
) -> Result<(), Cause> {
    sender.ready().await.map_err(|error| Cause::Unsent(error.to_string()))?;
    let lost = |error: hyper::Error| Cause::Lost(error.to_string());
    let (head, mut body) = sender.send_request(message).await.map_err(lost)?.into_parts();
    received.head = Some((head.status.as_u16(), head.headers));
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(lost)?.into_data() {
            received.body.extend_from_slice(&data);
        }
        if received.body.len() > read_bytes_max {
            return Err(Cause::HungUp);
        }
    }
    Ok(())
}

/// A request's body.
struct Outgoing {
    rest: Bytes,
    chunked: bool,
    /// Bytes after which it stops and says so.
    stop_after: Option<usize>,
    reached: Option<oneshot::Sender<()>>,
}

impl Outgoing {
    fn new(request: &Request, stop_after: Option<usize>, reached: oneshot::Sender<()>) -> Self {
        Self { rest: request.body.clone(), chunked: request.chunked, stop_after, reached: Some(reached) }
    }

    fn tell(&mut self) {
        if let Some(reached) = self.reached.take() {
            // Nobody listens when the answer was there first.
            let _ = reached.send(());
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut size = self.rest.len().min(FRAME_BYTES);
        if let Some(left) = self.stop_after {
            size = size.min(left);
            if size == 0 && !self.rest.is_empty() {
                self.tell();
                // Held still until the connection is dropped.
                return Poll::Pending;
            }
            self.stop_after = Some(left - size);
        }
        if size == 0 {
            self.tell();
            return Poll::Ready(None);
        }
        let frame = self.rest.split_to(size);
        if self.rest.is_empty() && self.stop_after.is_some() {
            self.tell();
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.chunked
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked { SizeHint::default() } else { SizeHint::with_exact(self.rest.len() as u64) }
    }
}
