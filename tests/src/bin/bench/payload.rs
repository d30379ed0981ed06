//! Bodies: one buffer in memory, sent as often as the length needs, and a last few bytes that make each blob unique.
//!
//! The digest of everything before those last bytes is computed once, so that the digest of a new blob costs nothing
//! while others are measured.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ::tests::content;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};

/// Bytes of the buffer.
const BUFFER: usize = 8 << 20;
/// Bytes of one frame.
const FRAME: usize = 1 << 20;
/// Bytes that make a blob unique.
const TAIL: usize = 16;

/// Distinguishes blobs of one run.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Blobs of one length.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    buffer: Bytes,
    length: u64,
    digest_before_tail: Sha256,
}

impl Payload {
    /// Blobs of a length, at least that of the unique part.
    pub(crate) fn new(length: u64) -> Self {
        let buffer = content::bytes(length, BUFFER);
        let length = length.max(TAIL as u64);
        let mut digest_before_tail = Sha256::new();
        let mut left = length - TAIL as u64;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            digest_before_tail.update(&buffer[..part]);
            left -= part as u64;
        }
        Self { buffer, length, digest_before_tail }
    }

    /// A blob that was never sent before, and its digest.
    pub(crate) fn unique(&self) -> (Upload, String) {
        let mut tail = [0; TAIL];
        tail[..8].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        // Random, for the blobs of other runs.
        tail[8..].copy_from_slice(&RandomState::new().hash_one(self.length).to_le_bytes());
        let digest = self.digest_before_tail.clone().chain_update(tail).finalize();
        let (buffer, before_tail) = (self.buffer.clone(), self.length - TAIL as u64);
        let upload = Upload { buffer, position: 0, before_tail, tail: Bytes::copy_from_slice(&tail) };
        (upload, format!("sha256:{}", hex::encode(digest)))
    }
}

/// A request's body.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    buffer: Bytes,
    /// Where the next frame begins in the buffer.
    position: usize,
    /// Bytes that are still to be sent before the tail.
    before_tail: u64,
    tail: Bytes,
}

impl Upload {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self::small(Bytes::new())
    }

    /// A body of these bytes.
    pub(crate) fn small(bytes: Bytes) -> Self {
        Self { buffer: Bytes::new(), position: 0, before_tail: 0, tail: bytes }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.before_tail == 0 {
            let tail = std::mem::take(&mut self.tail);
            return Poll::Ready((!tail.is_empty()).then(|| Ok(Frame::data(tail))));
        }
        let begin = self.position;
        let length = usize::try_from(self.before_tail).unwrap_or(FRAME).min(FRAME).min(self.buffer.len() - begin);
        self.before_tail -= length as u64;
        self.position = (begin + length) % self.buffer.len();
        Poll::Ready(Some(Ok(Frame::data(self.buffer.slice(begin..begin + length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.before_tail == 0 && self.tail.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.before_tail + self.tail.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_digest_is_that_of_the_body() {
        for length in [1024, BUFFER as u64, BUFFER as u64 + 17, 20 << 20] {
            let payload = Payload::new(length);
            let ((first, digest), (_, other)) = (payload.unique(), payload.unique());
            let bytes = first.collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len() as u64, length);
            assert_eq!(::tests::digest::sha256(&bytes), digest);
            assert_ne!(digest, other);
        }
    }
}
