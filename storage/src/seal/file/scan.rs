//! Walks the frames of a journal or a record, and finds out where it ends and whether it may end there.

use super::super::cipher::{FileKey, TAG_BYTES};
use super::header::HEADER_BYTES;
use super::{Fault, Kind, OTHER_PREFIX_BYTES, Source};

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// One frame that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where its content begins in that of the file.
    pub(super) content: u64,
    /// Where it begins in the file.
    pub(super) position: u64,
    /// Bytes of its content.
    pub(super) length: usize,
}

/// What is at a place where a frame should begin.
enum Found {
    Good {
        length: usize,
    },
    /// Nothing, or a frame whose end is not there, or zeros.
    Cut,
    /// A whole frame that is not good.
    Bad,
}

/// The good frames of a file up to its end.
pub(super) fn frames(
    source: &dyn Source,
    file_bytes: u64,
    key: &FileKey,
    kind: Kind,
    frame_bytes: u32,
) -> Result<Vec<Frame>, Fault> {
    let mut walk = Walk { source, file_bytes, key, frame_bytes, window: Vec::new(), begin: 0 };
    let mut frames = Vec::new();
    let (mut position, mut content) = (HEADER_BYTES as u64, 0);
    loop {
        match walk.frame(position)? {
            Found::Good { length } => {
                frames.push(Frame { content, position, length });
                content += length as u64;
                position += (OTHER_PREFIX_BYTES + length + TAG_BYTES) as u64;
            }
            Found::Bad if kind == Kind::Record => return Err(Fault::Damaged("a part of it is damaged")),
            Found::Bad | Found::Cut => {
                if walk.was_durable(position)? {
                    return Err(Fault::Damaged("a part of it that was durable is damaged"));
                }
                return Ok(frames);
            }
        }
    }
}

/// A file that is read from its beginning to its end.
struct Walk<'a> {
    source: &'a dyn Source,
    file_bytes: u64,
    key: &'a FileKey,
    frame_bytes: u32,
    /// The part of the file that was read last, and where it begins.
    window: Vec<u8>,
    begin: u64,
}

impl Walk<'_> {
    /// `length` bytes at `position`; `None` if the file has no such bytes.
    fn bytes(&mut self, position: u64, length: usize) -> Result<Option<&[u8]>, Fault> {
        if position.saturating_add(length as u64) > self.file_bytes {
            return Ok(None);
        }
        let inside = position >= self.begin && position + length as u64 <= self.begin + self.window.len() as u64;
        if !inside {
            let rest = usize::try_from(self.file_bytes - position).unwrap_or(usize::MAX);
            self.window.resize(WINDOW_BYTES.max(length).min(rest), 0);
            let read = self.source.read_at(&mut self.window, position)?;
            self.window.truncate(read);
            self.begin = position;
            if read < length {
                // It was cut off since its length was asked for.
                return Ok(None);
            }
        }
        let start = usize::try_from(position - self.begin).unwrap_or(usize::MAX);
        Ok(Some(&self.window[start..start + length]))
    }

    fn frame(&mut self, position: u64) -> Result<Found, Fault> {
        let Some(prefix) = self.prefix(position)? else { return Ok(Found::Cut) };
        let (length, _) = split(prefix);
        if prefix == [0; OTHER_PREFIX_BYTES] {
            return Ok(Found::Cut);
        }
        if length == 0 || length > self.frame_bytes {
            return Ok(Found::Bad);
        }
        self.open(position, prefix, length as usize)
    }

    fn open(&mut self, position: u64, prefix: [u8; OTHER_PREFIX_BYTES], length: usize) -> Result<Found, Fault> {
        let begin = position + OTHER_PREFIX_BYTES as u64;
        let Some(sealed) = self.bytes(begin, length + TAG_BYTES)? else { return Ok(Found::Cut) };
        let mut sealed = sealed.to_vec();
        let good = self.key.open(position, &prefix, &mut sealed).is_ok();
        Ok(if good { Found::Good { length } } else { Found::Bad })
    }

    /// Whether any good frame behind `position` says that what is there was durable. Frames know their position, so
    /// that one is recognised wherever it begins; numbers that no frame has are most of what is passed over.
    fn was_durable(&mut self, position: u64) -> Result<bool, Fault> {
        let mut candidate = position + 1;
        while let Some(prefix) = self.prefix(candidate)? {
            let (length, durable) = split(prefix);
            let plausible = (1..=self.frame_bytes).contains(&length) && durable > position && durable <= candidate;
            if plausible && matches!(self.open(candidate, prefix, length as usize)?, Found::Good { .. }) {
                return Ok(true);
            }
            candidate += 1;
        }
        Ok(false)
    }

    fn prefix(&mut self, position: u64) -> Result<Option<[u8; OTHER_PREFIX_BYTES]>, Fault> {
        let bytes = self.bytes(position, OTHER_PREFIX_BYTES)?;
        Ok(bytes.map(|bytes| bytes.try_into().expect("as many were asked for")))
    }
}

/// Length and durable bytes of a frame.
fn split(prefix: [u8; OTHER_PREFIX_BYTES]) -> (u32, u64) {
    let length = u32::from_le_bytes(prefix[..4].try_into().expect("four bytes"));
    let durable = u64::from_le_bytes(prefix[4..].try_into().expect("eight bytes"));
    (length, durable)
}
