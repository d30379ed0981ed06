//! The header of a sealed file: which key, and that it is the header that was written.

use super::super::cipher::{FileKey, HEADER_NUMBER, SALT_BYTES, TAG_BYTES};
use super::super::{DataKey, Keyring, UnknownKey};
use super::{DOMAIN, Fault, KeyId, Kind};

/// Bytes of the header.
pub(crate) const HEADER_BYTES: usize = COVERED + TAG_BYTES;

const MAGIC: &[u8; 8] = b"RGNSEALD";
const VERSION: u16 = 1;
/// Bytes that the header's tag covers.
const COVERED: usize = 64;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// How the file is read.
    pub(crate) kind: Kind,
    /// Most content bytes of a frame.
    pub(crate) frame_bytes: u32,
    /// Id of the data key.
    pub(crate) key: KeyId,
    salt: [u8; SALT_BYTES],
}

/// What a file begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// No header: the file is in the clear.
    Clear,
    /// A header that is cut off, as a crash leaves it: the file has no content.
    Cut,
    /// A header; whether it is good, its key tells.
    Sealed(Header),
}

impl Header {
    /// The header of a new file, encoded, and the key of the file.
    pub(super) fn create(kind: Kind, key: &DataKey, salt: [u8; SALT_BYTES]) -> (Self, FileKey, [u8; HEADER_BYTES]) {
        let header = Self { kind, frame_bytes: kind.frame_bytes(), key: key.id(), salt };
        let file_key = FileKey::derive(key, &header.salt, DOMAIN);
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = kind.code();
        bytes[12..16].copy_from_slice(&header.frame_bytes.to_le_bytes());
        bytes[16..32].copy_from_slice(&header.key.0);
        bytes[32..64].copy_from_slice(&header.salt);
        let tag = file_key.seal(HEADER_NUMBER, &bytes[..COVERED], &mut []);
        bytes[COVERED..].copy_from_slice(&tag);
        (header, file_key, bytes)
    }

    /// What the first bytes of a file say, of which fewer than [`HEADER_BYTES`] are given only if the file is shorter.
    pub(crate) fn look(bytes: &[u8]) -> Result<Beginning, Fault> {
        let magic = bytes.len().min(MAGIC.len());
        if magic == 0 || bytes[..magic] != MAGIC[..magic] {
            return Ok(Beginning::Clear);
        }
        if bytes.len() < HEADER_BYTES {
            return Ok(Beginning::Cut);
        }
        if bytes[8..10] != VERSION.to_le_bytes() {
            return Err(Fault::Damaged("its sealed format has another version"));
        }
        let kind = Kind::from_code(bytes[10]).ok_or(Fault::Damaged("the kind of the sealed file is not known"))?;
        let array = |range: std::ops::Range<usize>| &bytes[range];
        let frame_bytes = u32::from_le_bytes(array(12..16).try_into().expect("four bytes"));
        // Far above what is written, and far below what memory could not hold.
        if !(1..=1 << 24).contains(&frame_bytes) {
            return Err(Fault::Damaged("its header is damaged"));
        }
        let key = KeyId(array(16..32).try_into().expect("sixteen bytes"));
        let salt = array(32..64).try_into().expect("32 bytes");
        Ok(Beginning::Sealed(Self { kind, frame_bytes, key, salt }))
    }

    /// The key of the file, once its header is proven good. `bytes` is what [`look`](Self::look) was given.
    pub(super) fn unlock(&self, bytes: &[u8], keyring: &Keyring) -> Result<FileKey, Fault> {
        let key = keyring.get(self.key).ok_or(UnknownKey(self.key))?;
        let file_key = FileKey::derive(key, &self.salt, DOMAIN);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&bytes[COVERED..HEADER_BYTES]);
        match file_key.open(HEADER_NUMBER, &bytes[..COVERED], &mut tag) {
            Ok(_) => Ok(file_key),
            Err(_) => Err(Fault::Damaged("its header is damaged")),
        }
    }
}
