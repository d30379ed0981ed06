//! The house's HTTP client as the protocol's library wants it.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use raft::time::{Clock, Timestamp};

use crate::web::{Plaintext, WebClient, WebLimits, WebRequest};

/// Bounds of a request. A chain of certificates is a few KiB.
const LIMITS: WebLimits =
    WebLimits { deadline: Duration::from_secs(30), body_bytes_max: 256 << 10, plaintext: Plaintext::Refused };
/// Longest time that an authority may ask us to wait, in seconds.
const WAIT_SECONDS_MAX: u64 = 7 * 86_400;

tokio::task_local! {
    /// Seconds that the last answer of one attempt asks it to wait. Attempts run side by side over one account.
    static WAIT: Cell<Option<u64>>;
}

/// Runs an attempt, which hears of its own waits only.
pub(super) async fn attempt<F: Future>(attempt: F) -> F::Output {
    WAIT.scope(Cell::new(None), attempt).await
}

/// Seconds that the last answer asks the present attempt to wait, if it does.
pub(super) fn wait_asked() -> Option<u64> {
    WAIT.try_with(Cell::get).ok().flatten()
}

/// Keeps it. Outside of an attempt nobody wants to know.
fn keep_wait(seconds: Option<u64>) {
    let _outside = WAIT.try_with(|wait| wait.set(seconds));
}

/// Asks the authority.
#[derive(Clone, Debug)]
pub(super) struct AcmeHttp {
    web: WebClient,
    clock: Arc<dyn Clock>,
}

impl AcmeHttp {
    pub(super) fn new(web: WebClient, clock: Arc<dyn Clock>) -> Self {
        Self { web, clock }
    }
}

impl HttpClient for AcmeHttp {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let request = WebRequest { method: head.method, url: head.uri.to_string(), headers: head.headers, body };
            keep_wait(None);
            let answer = this.web.send(request, LIMITS).await.map_err(|error| Error::Other(Box::new(error)))?;
            keep_wait(wait_seconds(&answer.headers, this.clock.now()));
            let mut response = Response::new(Full::new(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(BytesResponse::from(response))
        })
    }
}

/// What `Retry-After` says: seconds, or a date (RFC 9110 §10.2.3).
fn wait_seconds(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse::<u64>().ok().or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(date.as_secs().saturating_sub(now.0 / 1000))
    });
    Some(seconds?.min(WAIT_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_attempt_hears_of_its_own_waits() {
        let waits = |seconds| {
            attempt(async move {
                keep_wait(Some(seconds));
                tokio::task::yield_now().await;
                wait_asked()
            })
        };
        assert_eq!(tokio::join!(waits(1), waits(2), attempt(async { wait_asked() })), (Some(1), Some(2), None));
        keep_wait(Some(3));
        assert_eq!(wait_asked(), None, "outside of all");
    }

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date() {
        let at = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            wait_seconds(&headers, Timestamp(784_111_777_000))
        };
        assert_eq!(at("120"), Some(120));
        assert_eq!(at("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(at("Sun, 06 Nov 1994 08:40:37 GMT"), Some(0));
        assert_eq!(at("99999999999"), Some(WAIT_SECONDS_MAX));
        assert_eq!((at("soon"), at("")), (None, None));
        assert_eq!(wait_seconds(&HeaderMap::new(), Timestamp(0)), None);
    }
}
