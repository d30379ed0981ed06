//! Format version 1 of a sealed file of an engine: a header, then frames. Everything is appended, and nothing that is
//! sealed is ever written over.
//!
//! | bytes | header field |
//! |---|---|
//! | 0..8 | magic `RGNSEALD` |
//! | 8..10 | format version |
//! | 10 | kind: 1 table, 2 journal, 3 record |
//! | 11 | zero |
//! | 12..16 | most content bytes of a frame |
//! | 16..32 | id of the data key |
//! | 32..64 | random bytes from which, with the data key, the file's own key is derived |
//! | 64..80 | tag of the bytes before it |
//!
//! A frame is its length (u32), in journals and records followed by how many bytes of the file were durable when it was
//! written (u64), then its encrypted content, then the tag, which covers those numbers as well. Its nonce is its position
//! in the file: a frame that was moved, repeated or put in from elsewhere does not open. Numbers are little-endian.
//!
//! *Tables* are read anywhere: all frames but the last are full, so that a frame's position follows from that of the
//! content, and nothing is written before a frame is full. The last one says so in the highest bit of its length. A
//! table that ends too early is damaged.
//!
//! *Journals* and *records* become readable with every append, which is a frame of its own, and are read by walking
//! from frame to frame. One that ends within a frame was cut off by a crash, and ends before that frame. A journal also
//! ends before a frame that is whole but not good, for a power cut leaves any part of what was not synced. But if a good
//! frame behind it says that the bad place was durable, then what is there was damaged later, and nothing of the file
//! is handed out: that is no tail that someone may do without.

mod header;
mod reader;
mod scan;
mod writer;

use std::io;
use std::path::Path;

use super::{KeyId, UnknownKey};

pub(crate) use header::{Beginning, HEADER_BYTES, Header};
pub(crate) use reader::{Opened, Reader};
pub(crate) use writer::Writer;

/// Separates these files' keys from others'.
const DOMAIN: &str = "regnode engine file, v1";
/// Content of a table's full frame: small, since a look-up reads a block of some KiB at any position.
const TABLE_FRAME_BYTES: u32 = 4 << 10;
/// Most content of another frame: what the engine reads at once.
const OTHER_FRAME_BYTES: u32 = 32 << 10;
/// Begin of a frame in a table.
const TABLE_PREFIX_BYTES: usize = 4;
/// Begin of another frame.
const OTHER_PREFIX_BYTES: usize = 12;
/// In the length of a table's last frame.
const LAST: u32 = 1 << 31;

/// How a file is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Written once from its beginning to its end, then read anywhere.
    Table,
    /// A write-ahead log, of which a power cut may leave any part that was not synced.
    Journal,
    /// Anything else.
    Record,
}

impl Kind {
    /// The kind of a new file, by the name that RocksDB gives it.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sst") => Self::Table,
            Some("log") => Self::Journal,
            _ => Self::Record,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Table => 1,
            Self::Journal => 2,
            Self::Record => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Table, Self::Journal, Self::Record].into_iter().find(|kind| kind.code() == code)
    }

    fn frame_bytes(self) -> u32 {
        if self == Self::Table { TABLE_FRAME_BYTES } else { OTHER_FRAME_BYTES }
    }

    fn prefix_bytes(self) -> usize {
        if self == Self::Table { TABLE_PREFIX_BYTES } else { OTHER_PREFIX_BYTES }
    }
}

/// Where the bytes of a file come from.
pub(crate) trait Source {
    /// Reads at most `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Why a sealed file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Its key is not known.
    #[error(transparent)]
    Unknown(#[from] UnknownKey),
    /// It is not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// The operating system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) => error,
            Fault::Damaged(reason) => Self::new(io::ErrorKind::InvalidData, reason),
            Fault::Unknown(unknown) => Self::new(io::ErrorKind::PermissionDenied, unknown),
        }
    }
}

#[cfg(test)]
mod tests;
