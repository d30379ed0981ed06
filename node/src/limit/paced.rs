//! A body that comes no faster than those who pay for it can.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::account::{Account, UNIT_BYTES};

/// The body. Each part is paid for before it is passed on, so nothing is had for free at the end.
#[derive(Debug)]
pub(super) struct Paced {
    body: Body,
    accounts: Vec<Arc<Account>>,
    /// A part that came and is not paid for by all.
    held: Option<Bytes>,
    /// Units that each account owes for it, as `accounts`.
    owed: Vec<u32>,
    /// Bytes that have come, the held ones among them.
    seen_bytes: u64,
    /// Units that were charged for them: each body costs whole units.
    charged_units: u64,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// The same body at the pace of the slowest of the accounts.
    pub(super) fn new(body: Body, accounts: Vec<Arc<Account>>) -> Self {
        let owed = vec![0; accounts.len()];
        Self { body, accounts, held: None, owed, seen_bytes: 0, charged_units: 0, wait: None }
    }

    fn owe(&mut self, bytes: usize) {
        self.seen_bytes = self.seen_bytes.saturating_add(bytes as u64);
        let due = self.seen_bytes.div_ceil(UNIT_BYTES);
        // A part of a body is in memory: its units fit.
        let units = u32::try_from(due - self.charged_units).unwrap_or(u32::MAX);
        self.charged_units = due;
        self.owed.fill(units);
    }

    fn poll_paid(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(context));
                self.wait = None;
            }
            let Some(index) = self.owed.iter().position(|units| *units > 0) else { return Poll::Ready(()) };
            let Some(units) = NonZeroU32::new(self.owed[index]) else { continue };
            match self.accounts[index].pay(units) {
                Ok(paid) => self.owed[index] -= paid.get(),
                Err(time) => self.wait = Some(Box::pin(tokio::time::sleep(time))),
            }
        }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.held.is_none() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        this.owe(bytes.len());
                        this.held = Some(bytes);
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        ready!(this.poll_paid(context));
        Poll::Ready(this.held.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, held) = (self.body.size_hint(), self.held.as_ref().map_or(0, Bytes::len) as u64);
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(rest.lower().saturating_add(held));
        hint
    }
}
