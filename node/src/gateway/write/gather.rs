//! Frames of a body, gathered to batches.

use bytes::{Buf, Bytes};

/// A batch in the making. Grows with what arrives, so that a slow client costs no more than it has sent.
#[derive(Debug, Default)]
pub(super) struct Gather {
    batch: Vec<u8>,
    full: bool,
}

impl Gather {
    /// Moves bytes from the front of a frame into the batch, until it has `size` bytes or the frame is empty. Returns
    /// the batch when it is full. When the size has become smaller meanwhile, the batch gets a multiple of it.
    pub(super) fn take(&mut self, frame: &mut Bytes, size: usize) -> Option<Vec<u8>> {
        let size = self.batch.len().max(1).next_multiple_of(size.max(1));
        if self.batch.is_empty() && self.full {
            // The client has filled a batch before: it will fill this one too.
            self.batch.reserve_exact(size);
        }
        let taken = size.saturating_sub(self.batch.len()).min(frame.len());
        self.batch.extend_from_slice(&frame[..taken]);
        frame.advance(taken);
        if self.batch.len() < size {
            return None;
        }
        self.full = true;
        Some(std::mem::take(&mut self.batch))
    }

    /// What is left at the end of the body.
    pub(super) fn rest(self) -> Vec<u8> {
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_rest_are_the_frames() {
        let mut gather = Gather::default();
        let mut batches = Vec::new();
        let bytes: Vec<u8> = (0..=255).collect();
        for frame in bytes.chunks(37) {
            let mut frame = Bytes::copy_from_slice(frame);
            while !frame.is_empty() {
                batches.extend(gather.take(&mut frame, 50));
            }
        }
        assert!(batches.iter().all(|batch| batch.len() == 50));
        assert_eq!(batches.len(), 5);
        assert_eq!([batches.concat(), gather.rest()].concat(), bytes);
    }

    #[test]
    fn a_smaller_size_keeps_batches_whole() {
        let mut gather = Gather::default();
        let mut frame = Bytes::from(vec![1; 100]);
        assert!(gather.take(&mut frame, 200).is_none());
        frame = Bytes::from(vec![1; 100]);
        assert_eq!(gather.take(&mut frame, 30).unwrap().len(), 120);
        assert_eq!(gather.take(&mut frame, 30).unwrap().len(), 30);
    }
}
