//! What version 2 of a shard file adds: blocks encrypted together with their checksums.
//!
//! The header's second half names the data key and has the random bytes that make the file's own key of it, under a tag
//! that covers the whole header. Each block is sealed with its checksum under its own number as the nonce; the tag
//! follows it. A range touches the blocks that it needs, and no others. The checksums are those of the plain bytes, as
//! peers and the scrub know them.

use super::Checksum;
use super::format::HEADER;
use crate::seal::cipher::{FileKey, HEADER_NUMBER, SALT_BYTES, TAG_BYTES};
use crate::seal::{DataKey, KeyId, Keyring, UnknownKey};

/// Bytes of the header's second half, as an array length.
pub(super) const HEADER_BYTES: usize = 64;

/// Separates these files' keys from others'.
const DOMAIN: &str = "regnode shard file, v2";
const KEY: std::ops::Range<usize> = HEADER..HEADER + 16;
const SALT: std::ops::Range<usize> = KEY.end..KEY.end + SALT_BYTES;
/// Where the tag begins, of `HEADER + HEADER_BYTES` bytes.
const COVERED: usize = SALT.end;

/// Why a sealed file cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its key is not known.
    Unknown(UnknownKey),
    /// Its header is not the one that was written.
    Damaged,
}

/// Seals and opens the blocks of one file.
#[derive(Debug)]
pub(super) struct Seal {
    id: KeyId,
    key: FileKey,
}

impl Seal {
    /// For a new file: the seal, and the whole header, of which `first` is the first half.
    pub(super) fn create(first: &[u8; HEADER], key: &DataKey, salt: &[u8; SALT_BYTES]) -> (Self, Vec<u8>) {
        let mut header = first.to_vec();
        header.extend_from_slice(&key.id().0);
        header.extend_from_slice(salt);
        let seal = Self { id: key.id(), key: FileKey::derive(key, salt, DOMAIN) };
        let tag = seal.key.seal(HEADER_NUMBER, &header, &mut []);
        header.extend_from_slice(&tag);
        (seal, header)
    }

    /// For a file with this header, once that is proven good.
    pub(super) fn open(header: &[u8; HEADER + HEADER_BYTES], keyring: &Keyring) -> Result<Self, Fault> {
        let id = key_id(header);
        let key = keyring.get(id).ok_or(Fault::Unknown(UnknownKey(id)))?;
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&header[SALT]);
        let key = FileKey::derive(key, &salt, DOMAIN);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&header[COVERED..]);
        match key.open(HEADER_NUMBER, &header[..COVERED], &mut tag) {
            Ok(_) => Ok(Self { id, key }),
            Err(_) => Err(Fault::Damaged),
        }
    }

    /// Id of the data key.
    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    /// Appends a block to `output`, sealed. A block's number is used once in the life of a file.
    pub(super) fn seal(&self, block: u64, checksum: Checksum, bytes: &[u8], output: &mut Vec<u8>) {
        let begin = output.len();
        output.extend_from_slice(&checksum.0);
        output.extend_from_slice(bytes);
        let tag = self.key.seal(block, &[], &mut output[begin..]);
        output.extend_from_slice(&tag);
    }

    /// Opens a block in place; whether it is the one that was sealed under this number. Its checksum and its bytes then
    /// stand where the block begins.
    pub(super) fn unseal(&self, block: u64, sealed: &mut [u8]) -> bool {
        self.key.open(block, &[], sealed).is_ok()
    }
}

/// Id of the data key in a header.
pub(super) fn key_id(header: &[u8; HEADER + HEADER_BYTES]) -> KeyId {
    let mut id = [0; 16];
    id.copy_from_slice(&header[KEY]);
    KeyId(id)
}
