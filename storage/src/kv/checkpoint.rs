//! The file of an in-memory engine's checkpoint, format version 1.
//!
//! `RGNKVCKP`, version (u16), number of columns (u32); for each column its name and its number of pairs (u64), then
//! the pairs; last the BLAKE3 hash of everything before it. Names, keys and values have their length (u32) in front.
//! Numbers are little-endian, columns and keys in order.

use bytes::{Buf, Bytes};

use super::image::{Image, Keys};

/// Name of the file in the checkpoint's directory.
pub(super) const FILE: &str = "checkpoint";

const MAGIC: &[u8; 8] = b"RGNKVCKP";
const VERSION: u16 = 1;
const HASH_BYTES: usize = 32;

/// Encodes a store.
pub(super) fn encode(image: &Image) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&length(image.columns.len()).to_le_bytes());
    for (name, keys) in &image.columns {
        put(&mut out, name.as_bytes());
        out.extend_from_slice(&(keys.len() as u64).to_le_bytes());
        for (key, value) in keys {
            put(&mut out, key);
            put(&mut out, value);
        }
    }
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

/// Reads a store back; says what is wrong with the bytes otherwise.
pub(super) fn decode(content: Vec<u8>) -> Result<Image, &'static str> {
    const CUT: &str = "the checkpoint ends too early";
    let mut content = Bytes::from(content);
    if content.len() < MAGIC.len() + HASH_BYTES {
        return Err(CUT);
    }
    let hash = content.split_off(content.len() - HASH_BYTES);
    if blake3::hash(&content).as_bytes().as_slice() != hash {
        return Err("the checksum of the checkpoint does not match");
    }
    if content.split_to(MAGIC.len()) != MAGIC.as_slice() {
        return Err("it does not begin like a checkpoint");
    }
    if content.try_get_u16_le().map_err(|_| CUT)? != VERSION {
        return Err("the checkpoint has another format version");
    }
    let mut image = Image::default();
    for _ in 0..content.try_get_u32_le().map_err(|_| CUT)? {
        let name = take(&mut content).ok_or(CUT)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| "the name of a column is not text")?;
        let mut keys = Keys::new();
        for _ in 0..content.try_get_u64_le().map_err(|_| CUT)? {
            let key = take(&mut content).ok_or(CUT)?;
            keys.insert(key, take(&mut content).ok_or(CUT)?);
        }
        image.columns.insert(name, keys);
    }
    if content.is_empty() { Ok(image) } else { Err("bytes follow the checkpoint") }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take(content: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(content.try_get_u32_le().ok()?).ok()?;
    (length <= content.len()).then(|| content.split_to(length))
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("keys and values are far below 4 GiB")
}
