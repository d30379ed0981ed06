//! Content for blobs: the same seed gives the same bytes, other seeds give others; nothing of it compresses.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};

use crate::digest;

/// Bytes of a frame of [`Content::stream`].
const FRAME: usize = 1 << 20;

/// Pseudo-random bytes of a length (splitmix64).
#[must_use]
pub fn bytes(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66_D1CE_4E5B;
    let mut content = BytesMut::with_capacity(length + 8);
    while content.len() < length {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        content.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    content.truncate(length);
    content.freeze()
}

/// Large content that is never held whole: one random frame, stamped with its number each time.
#[derive(Clone, Debug)]
pub struct Content {
    frame: Bytes,
    /// Bytes in total.
    pub length_bytes: u64,
}

impl Content {
    /// Content of a length.
    #[must_use]
    pub fn new(seed: u64, length_bytes: u64) -> Self {
        Self { frame: bytes(seed, FRAME), length_bytes }
    }

    fn frame(&self, number: u64) -> Option<Bytes> {
        let begin = number * FRAME as u64;
        let length = usize::try_from(self.length_bytes.checked_sub(begin)?.min(FRAME as u64)).ok()?;
        if length == 0 {
            return None;
        }
        let mut frame = BytesMut::from(&self.frame[..length]);
        let stamp = number.to_le_bytes();
        let stamped = length.min(stamp.len());
        frame[..stamped].copy_from_slice(&stamp[..stamped]);
        Some(frame.freeze())
    }

    /// Its frames.
    pub fn frames(&self) -> impl Iterator<Item = Bytes> + use<> {
        let content = self.clone();
        (0..).map_while(move |number| content.frame(number))
    }

    /// Its SHA-256, `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut running = digest::Running::default();
        self.frames().for_each(|frame| running.update(&frame));
        running.finish()
    }

    /// Its bytes as a request's body.
    pub fn stream(&self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
        stream::iter(self.frames().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_deterministic_and_of_its_length() {
        assert_eq!(bytes(1, 1000), bytes(1, 1000));
        assert_ne!(bytes(1, 1000), bytes(2, 1000));
        for length in [0, 1, 7, FRAME as u64, FRAME as u64 + 1, 3 * FRAME as u64 - 1] {
            let content = Content::new(3, length);
            assert_eq!(content.frames().map(|frame| frame.len() as u64).sum::<u64>(), length);
        }
    }
}
