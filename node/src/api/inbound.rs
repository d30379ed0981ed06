//! The body of a request as a stream of bytes: nothing is gathered, a silent client is given up, a wrong length is
//! an error.
//!
//! An answer that comes before the whole body was read (out of space, wrong range) must not be lost: closing a
//! connection with unread bytes resets it, and the client may never see the answer. So what is left of a body is read
//! and thrown away for a while after the answer. A client that waits for `100 Continue` is not asked for it then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http_body::Body as _;
use tokio::time::{Instant, Sleep};

use super::metrics::Metrics;
use super::onward::Onward;
use super::visitor::Claim;
use crate::gateway::BodyError;

/// A client that sends so many bytes for each second of the time that it has makes progress. Fewer are none: a byte now and
/// then would keep a connection for ever.
const PROGRESS_BYTES_PER_SECOND: u128 = 64;

/// Most bytes of an unread body that are thrown away.
const DRAIN_BYTES: u64 = 16 << 20;

/// Longest time for that.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A body that is read as a stream.
#[derive(Debug)]
pub(super) struct Inbound {
    body: Body,
    metrics: Metrics,
    idle: Duration,
    /// Made when the client is waited for: most requests have no body.
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the client is waited for, while it is.
    waiting: Option<Instant>,
    /// Time for which it was waited for, since it made progress.
    waited: Duration,
    /// Bytes that have come since then.
    progress_bytes: u64,
    expected_bytes: Option<u64>,
    received_bytes: u64,
    over: bool,
    rest: Rest,
    /// Told once all of it has come.
    onward: Onward,
    /// Asked once all of it has come.
    claim: Option<Claim>,
}

/// What becomes of a body that was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Nothing: a stream of HTTP/2 is closed alone and without loss.
    Leave,
    /// It is thrown away.
    Drain,
    /// It is thrown away once some of it has come: until then the client waits to be asked for it.
    DrainOnceAsked,
}

impl Inbound {
    /// The body of a request. It must have the length that the request announces, if it does.
    pub(super) fn new(parts: &Parts, body: Body, idle: Duration, metrics: Metrics) -> Self {
        Self {
            body,
            metrics,
            idle,
            timer: None,
            waiting: None,
            waited: Duration::ZERO,
            progress_bytes: 0,
            expected_bytes: announced_bytes(parts),
            received_bytes: 0,
            over: false,
            onward: Onward::default(),
            claim: None,
            rest: match parts.version {
                http::Version::HTTP_2 | http::Version::HTTP_3 => Rest::Leave,
                _ if parts.headers.contains_key(EXPECT) => Rest::DrainOnceAsked,
                _ => Rest::Drain,
            },
        }
    }

    /// Whether it is known to have no bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Length that it must have.
    pub(super) const fn expected_bytes(&self) -> Option<u64> {
        self.expected_bytes
    }

    /// The same body, of just this length.
    pub(super) fn expecting(mut self, bytes: u64) -> Self {
        self.expected_bytes = Some(bytes);
        self
    }

    /// The same; once all of it has come, its request is carried on without its client.
    pub(super) fn then_onward(mut self, onward: &Onward) -> Self {
        self.onward = onward.clone();
        if self.is_empty() {
            self.onward.begin();
        }
        self
    }

    /// The same; once all of it has come, it counts only if the claim of whoever sends it still holds.
    pub(super) fn claimed(mut self, claim: Option<Claim>) -> Self {
        self.claim = claim;
        self
    }

    /// The same, its bytes taken from the body another way.
    pub(super) fn mapped(mut self, change: impl FnOnce(Body) -> Body) -> Self {
        self.body = change(std::mem::take(&mut self.body));
        self
    }

    /// Gathers the whole body.
    ///
    /// # Errors
    /// `Err(None)` when it is longer than `limit_bytes`; otherwise why it broke off.
    pub(super) async fn gather(mut self, limit_bytes: u64) -> Result<Bytes, Option<BodyError>> {
        let Some(first) = self.next().await.transpose().map_err(Some)? else { return Ok(Bytes::new()) };
        let fits = |bytes: usize| if bytes as u64 > limit_bytes { Err(None) } else { Ok(()) };
        fits(first.len())?;
        let Some(second) = self.next().await.transpose().map_err(Some)? else { return Ok(first) };
        let mut gathered = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(bytes) = next {
            fits(gathered.len() + bytes.len())?;
            gathered.extend_from_slice(&bytes);
            next = self.next().await.transpose().map_err(Some)?;
        }
        Ok(gathered.freeze())
    }

    fn end(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.over = true;
        Poll::Ready(Some(Err(error)))
    }

    fn wrong_length(&self) -> BodyError {
        let expected = self.expected_bytes.unwrap_or_default();
        BodyError::Malformed { message: format!("{expected} bytes were announced, but the body has another length") }
    }
}

impl Stream for Inbound {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
                // Only the time counts in which somebody waits for the client.
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(this.idle)));
                if this.waiting.is_none() {
                    let now = Instant::now();
                    this.waiting = Some(now);
                    timer.as_mut().reset(now + this.idle.saturating_sub(this.waited));
                }
                ready!(timer.as_mut().poll(context));
                return this.end(BodyError::TimedOut);
            };
            if let Some(since) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            match frame {
                Some(Ok(frame)) => {
                    // Trailers are nothing to us.
                    let Ok(bytes) = frame.into_data() else { continue };
                    if bytes.is_empty() {
                        continue;
                    }
                    this.received_bytes += bytes.len() as u64;
                    this.progress_bytes += bytes.len() as u64;
                    if u128::from(this.progress_bytes) * 1000 >= this.idle.as_millis() * PROGRESS_BYTES_PER_SECOND {
                        (this.progress_bytes, this.waited) = (0, Duration::ZERO);
                    }
                    this.metrics.received(bytes.len() as u64);
                    if this.expected_bytes.is_some_and(|expected| this.received_bytes > expected) {
                        let error = this.wrong_length();
                        return this.end(error);
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(error)) => return this.end(broken(error)),
                None if this.expected_bytes.is_some_and(|expected| this.received_bytes != expected) => {
                    let error = this.wrong_length();
                    return this.end(error);
                }
                None if this.claim.as_ref().is_some_and(|claim| !claim.holds()) => {
                    return this.end(BodyError::Withdrawn);
                }
                None => {
                    this.over = true;
                    this.onward.begin();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let drain = match self.rest {
            Rest::Leave => false,
            Rest::Drain => true,
            Rest::DrainOnceAsked => self.received_bytes > 0,
        };
        if !drain || self.over || self.body.is_end_stream() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let body = std::mem::take(&mut self.body);
        runtime.spawn(async move {
            let mut stream = body.into_data_stream();
            let drain = async {
                let mut left_bytes = DRAIN_BYTES;
                while let Some(Ok(bytes)) = stream.next().await {
                    left_bytes = left_bytes.saturating_sub(bytes.len() as u64);
                    if left_bytes == 0 {
                        break;
                    }
                }
            };
            // Whether it ended or not, the answer is long out.
            let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
        });
    }
}

/// `Content-Length`, if it is given.
fn announced_bytes(parts: &Parts) -> Option<u64> {
    parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn broken(error: axum::Error) -> BodyError {
    match error.into_inner().downcast::<hyper::Error>() {
        Ok(error) if error.is_parse() => BodyError::Malformed { message: error.to_string() },
        _ => BodyError::Disconnected,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::Request;

    use super::*;

    fn inbound(chunks: Vec<Result<Bytes, std::io::Error>>, expected_bytes: Option<u64>, silent: bool) -> Inbound {
        let (parts, ()) = Request::new(()).into_parts();
        let chunks = stream::iter(chunks);
        let body = if silent { Body::from_stream(chunks.chain(stream::pending())) } else { Body::from_stream(chunks) };
        let mut inbound = Inbound::new(&parts, body, Duration::from_millis(50), Metrics::unregistered());
        inbound.expected_bytes = expected_bytes;
        inbound
    }

    fn chunks(texts: &[&'static str]) -> Vec<Result<Bytes, std::io::Error>> {
        texts.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect()
    }

    #[tokio::test]
    async fn chunks_pass_and_are_gathered() {
        let chunks = || chunks(&["ab", "", "cd"]);
        assert_eq!(inbound(chunks(), None, false).gather(4).await.unwrap(), "abcd");
        assert_eq!(inbound(chunks(), Some(4), false).gather(4).await.unwrap(), "abcd");
        assert_eq!(inbound(chunks(), None, false).gather(3).await, Err(None));
        assert_eq!(inbound(vec![], None, false).gather(0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_wrong_length_is_an_error() {
        for expected in [0, 3, 5] {
            let result = inbound(chunks(&["ab", "cd"]), Some(expected), false).gather(9).await;
            assert!(matches!(result, Err(Some(BodyError::Malformed { .. }))), "{expected}: {result:?}");
        }
        let result = inbound(vec![], Some(1), false).gather(9).await;
        assert!(matches!(result, Err(Some(BodyError::Malformed { .. }))), "{result:?}");
    }

    #[tokio::test]
    async fn a_broken_body_is_an_error() {
        let mut broken = chunks(&["ab"]);
        broken.push(Err(std::io::Error::other("reset")));
        let result = inbound(broken, None, false).gather(9).await;
        assert_eq!(result, Err(Some(BodyError::Disconnected)));
    }

    #[tokio::test]
    async fn a_silent_client_is_given_up() {
        let mut body = inbound(chunks(&["ab"]), None, true);
        assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"ab"))));
        // Time in which nobody waited for the client does not count.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let waited_from = Instant::now();
        assert_eq!(body.next().await, Some(Err(BodyError::TimedOut)));
        assert!(waited_from.elapsed() >= Duration::from_millis(50));
        assert_eq!(body.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_a_byte_now_and_then_is_given_up_and_a_slow_one_is_not() {
        let read = async |bytes: usize| {
            let dripping = stream::unfold(0, move |count| async move {
                tokio::time::sleep(Duration::from_millis(40)).await;
                (count < 100).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![7; bytes])), count + 1))
            });
            let (parts, ()) = Request::new(()).into_parts();
            let (body, metrics) = (Body::from_stream(dripping), Metrics::unregistered());
            Inbound::new(&parts, body, Duration::from_millis(500), metrics).gather(u64::MAX).await
        };
        assert_eq!(read(1).await, Err(Some(BodyError::TimedOut)));
        assert_eq!(read(500).await.map(|bytes| bytes.len()), Ok(50_000), "12 KiB a second are enough");
    }
}
