//! Bodies on their way between a client and another region: counted, and a request's kept until somebody takes it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::OwnedSemaphorePermit;

use super::metrics::{Metrics, Traffic};

/// The body of a client's request, until a node begins to take it: a node that cannot be reached has taken nothing, and
/// another one is asked instead.
pub(super) struct Untouched {
    slot: Arc<Mutex<Option<Body>>>,
    is_empty: bool,
    size: SizeHint,
    sent: Counter,
    broken: Arc<AtomicBool>,
}

impl Untouched {
    pub(super) fn new(body: Body, sent: Counter) -> Self {
        let (is_empty, size) = (body.is_end_stream(), body.size_hint());
        let slot = Arc::new(Mutex::new(Some(body)));
        Self { slot, is_empty, size, sent, broken: Arc::default() }
    }

    /// The body for one attempt.
    pub(super) fn attempt(&self) -> Body {
        if self.is_empty {
            return Body::empty();
        }
        let (slot, broken) = (Arc::clone(&self.slot), Arc::clone(&self.broken));
        Body::new(Given { slot, body: None, size: self.size, sent: self.sent.clone(), broken })
    }

    /// Whether it broke off: then no node is to blame.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Whether nothing of it was taken.
    pub(super) fn is_whole(&self) -> bool {
        self.is_empty || self.slot.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A request's body that is taken with the first look at it.
struct Given {
    slot: Arc<Mutex<Option<Body>>>,
    body: Option<Body>,
    size: SizeHint,
    sent: Counter,
    broken: Arc<AtomicBool>,
}

impl HttpBody for Given {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.body.is_none() {
            this.body = this.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let Some(body) = &mut this.body else {
            return Poll::Ready(Some(Err(axum::Error::new("the body was given to another node"))));
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                this.sent.inc_by(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            Some(Err(_)) => this.broken.store(true, Ordering::Relaxed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| self.size, HttpBody::size_hint)
    }
}

/// The body of another region's answer.
pub(super) struct Received {
    body: Body,
    bytes: Counter,
    metrics: Metrics,
    traffic: Traffic,
    region: String,
    /// What became of it, unless it is dropped before its end.
    outcome: Option<&'static str>,
    _permit: OwnedSemaphorePermit,
}

impl Received {
    pub(super) fn new(
        body: Body,
        (metrics, traffic): (Metrics, Traffic),
        region: &str,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        metrics.under_way(traffic).inc();
        let outcome = body.is_end_stream().then_some("answered");
        let (bytes, region) = (metrics.bytes(traffic, region, "received"), region.to_owned());
        Self { body, bytes, metrics, traffic, region, outcome, _permit: permit }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                this.bytes.inc_by(frame.data_ref().map_or(0, Bytes::len) as u64);
                if this.body.is_end_stream() {
                    this.outcome = Some("answered");
                }
            }
            Some(Err(_)) => this.outcome = Some("aborted"),
            None => this.outcome = Some("answered"),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.metrics.under_way(self.traffic).dec();
        self.metrics.request(self.traffic, &self.region, self.outcome.unwrap_or("gone"));
    }
}
