//! Bodies of answers that are streamed: of a known length, aborted when they cannot be completed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::metrics::Recording;
use crate::gateway::ReadError;

/// Why a stream ended before all was sent. The connection is closed, so that the client notices.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutboundError {
    /// The bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The reader delivered another number of bytes than the content has.
    #[error("the content ended {0} bytes early or late")]
    Length(u64),
}

/// Stored bytes on their way to a client.
pub(super) struct Content {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, ReadError>> + Send>>,
    left_bytes: u64,
}

impl Content {
    /// A body of just `length_bytes`.
    pub(super) fn new(
        stream: impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static,
        length_bytes: u64,
    ) -> Self {
        Self { stream: Box::pin(stream), left_bytes: length_bytes }
    }
}

impl HttpBody for Content {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        if self.left_bytes == 0 {
            return Poll::Ready(None);
        }
        match ready!(self.stream.as_mut().poll_next(context)) {
            Some(Ok(bytes)) => match self.left_bytes.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    self.left_bytes = left;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                None => Poll::Ready(Some(Err(OutboundError::Length(bytes.len() as u64 - self.left_bytes)))),
            },
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            None => Poll::Ready(Some(Err(OutboundError::Length(self.left_bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

/// A body that is recorded when it ends or is given up.
pub(super) struct Recorded {
    body: Body,
    recording: Recording,
}

impl Recorded {
    /// Records `body`.
    pub(super) fn new(body: Body, recording: Recording) -> Self {
        Self { body, recording }
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.recording.sent(frame.data_ref().map_or(0, Bytes::len) as u64),
            Some(Err(error)) => self.recording.aborted(error),
            None => {}
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn read(chunks: &[&'static str], length: u64) -> Result<Bytes, OutboundError> {
        let chunks: Vec<_> = chunks.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect();
        Content::new(stream::iter(chunks), length).collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn content_has_its_length_or_fails() {
        assert_eq!(read(&["ab", "c"], 3).await.unwrap(), "abc");
        assert_eq!(read(&[], 0).await.unwrap(), "");
        assert!(matches!(read(&["ab"], 3).await, Err(OutboundError::Length(1))));
        assert!(matches!(read(&["ab", "cd"], 3).await, Err(OutboundError::Length(1))));
    }
}
