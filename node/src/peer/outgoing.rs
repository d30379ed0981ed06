//! A stream of messages to a peer, as a type without lifetimes: the compiler cannot show that a call with a bare
//! boxed stream may move between threads.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt};

/// Messages to a peer.
pub(super) struct Outgoing<T>(BoxStream<'static, T>);

impl<T> Outgoing<T> {
    pub(super) fn new(messages: impl Stream<Item = T> + Send + 'static) -> Self {
        Self(messages.boxed())
    }
}

impl<T> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.as_mut().poll_next(context)
    }
}
