//! Seals what is appended to a file. It writes nothing itself: whoever has the file appends what it returns.

use super::super::Keys;
use super::super::cipher::{FileKey, TAG_BYTES};
use super::header::{HEADER_BYTES, Header};
use super::{Kind, LAST};

/// Seals the content of one new file.
#[derive(Debug)]
pub(crate) struct Writer {
    key: FileKey,
    kind: Kind,
    frame_bytes: usize,
    /// Where the next frame begins in the file.
    position: u64,
    /// Content of a table that no frame holds yet.
    pending: Vec<u8>,
    /// The last frame of a table was written.
    finished: bool,
    /// What is to be appended.
    output: Vec<u8>,
}

/// Content follows the last frame of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a table file is written to after it was synced")]
pub(crate) struct Finished;

impl Writer {
    /// A new file under the current key, and its header, which is appended first; `None`: the file stays in the clear.
    pub(crate) fn create(kind: Kind, keys: &Keys) -> Option<(Self, [u8; HEADER_BYTES])> {
        let (key, salt) = keys.for_new_file()?;
        let (header, key, bytes) = Header::create(kind, &key, salt);
        let writer = Self {
            key,
            kind,
            frame_bytes: header.frame_bytes as usize,
            position: HEADER_BYTES as u64,
            pending: Vec::new(),
            finished: false,
            output: Vec::new(),
        };
        Some((writer, bytes))
    }

    /// Takes the next content; returns what is to be appended to the file, which may be nothing for a table.
    /// `durable_bytes` of the file were synced before.
    pub(crate) fn append(&mut self, content: &[u8], durable_bytes: u64) -> Result<&[u8], Finished> {
        self.output.clear();
        if self.kind != Kind::Table {
            for part in content.chunks(self.frame_bytes) {
                self.frame(part, durable_bytes);
            }
            return Ok(&self.output);
        }
        if self.finished && !content.is_empty() {
            return Err(Finished);
        }
        self.pending.extend_from_slice(content);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        // A frame that is just full may be the last one, which has a mark.
        while rest.len() > self.frame_bytes {
            let (part, behind) = rest.split_at(self.frame_bytes);
            self.frame(part, 0);
            rest = behind;
        }
        let consumed = pending.len() - rest.len();
        self.pending = pending;
        self.pending.drain(..consumed);
        Ok(&self.output)
    }

    /// Ends a table: returns its last frame, once. Nothing for other files.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.output.clear();
        if self.kind == Kind::Table && !self.finished {
            self.finished = true;
            let pending = std::mem::take(&mut self.pending);
            self.frame(&pending, 0);
        }
        &self.output
    }

    /// Adds one frame to the output.
    fn frame(&mut self, content: &[u8], durable_bytes: u64) {
        let begin = self.output.len();
        let length = u32::try_from(content.len()).expect("a frame is far below 4 GiB");
        let length = if self.finished { length | LAST } else { length };
        self.output.extend_from_slice(&length.to_le_bytes());
        if self.kind != Kind::Table {
            self.output.extend_from_slice(&durable_bytes.to_le_bytes());
        }
        self.output.extend_from_slice(content);
        let (prefix, content) = self.output[begin..].split_at_mut(self.kind.prefix_bytes());
        let tag = self.key.seal(self.position, prefix, content);
        self.output.extend_from_slice(&tag);
        debug_assert_eq!(tag.len(), TAG_BYTES, "a frame is as long as readers reckon");
        self.position += (self.output.len() - begin) as u64;
    }
}
