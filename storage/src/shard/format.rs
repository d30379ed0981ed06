//! Formats of a shard file: a header, then every block with its checksum in front. Version 1 is in the clear, version 2 is
//! sealed (`sealed.rs` has what it adds).
//!
//! | bytes | header field |
//! |---|---|
//! | 0..8 | magic `RGNSHARD` |
//! | 8..10 | format version |
//! | 10, 11, 12 | data shards `k`, parity shards `m`, index of this shard |
//! | 13..16 | zero |
//! | 16..32 | object id |
//! | 32..36 | extent |
//! | 36..40 | bytes of a full block |
//! | 40..48 | attempt |
//! | 48..64 | checksum of the bytes before it |
//! | 64..80 | version 2: id of the data key |
//! | 80..112 | version 2: random bytes, from which the file's own key is derived |
//! | 112..128 | version 2: tag of the bytes before it |
//!
//! Numbers are little-endian. All blocks but the last are full, so that a block's position follows from its number.
//! The file does not say how many blocks it has: the catalog does, and an uncommitted file is nobody's.

use super::sealed;
use super::{Attempt, Checksum, ExtentIndex, ObjectId, ShardIndex, ShardName};
use crate::codec::Profile;
use crate::seal::cipher::TAG_BYTES;

/// Bytes of a shard file's header that say which shard it is, in every version, as an array length.
pub const HEADER: usize = 64;

const MAGIC: &[u8; 8] = b"RGNSHARD";
/// Bytes that the header's checksum covers.
const COVERED: usize = 48;
/// Key of the header's checksum.
const DOMAIN: &[u8; 32] = b"regnode shard header checks., v1";

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Version 1, in the clear.
    Clear,
    /// Version 2.
    Sealed,
}

impl Form {
    const ALL: [Self; 2] = [Self::Clear, Self::Sealed];

    fn version(self) -> u16 {
        match self {
            Self::Clear => 1,
            Self::Sealed => 2,
        }
    }

    /// The form of a file with this header.
    pub(super) fn of(header: &[u8]) -> Option<Self> {
        let version = header.get(8..10)?;
        Self::ALL.into_iter().find(|form| form.version().to_le_bytes() == version)
    }

    /// Bytes of the whole header.
    pub(super) fn header_bytes(self) -> u64 {
        let more = if self == Self::Sealed { sealed::HEADER_BYTES } else { 0 };
        (HEADER + more) as u64
    }

    /// Bytes that a block takes beside its own.
    pub(super) fn block_overhead_bytes(self) -> u64 {
        let more = if self == Self::Sealed { TAG_BYTES } else { 0 };
        (Checksum::BYTES + more) as u64
    }

    /// Bytes that a block takes in the file.
    pub(super) fn block_bytes(self, length_bytes: u64) -> u64 {
        self.block_overhead_bytes() + length_bytes
    }

    /// Position of a block in the file.
    pub(super) fn block_offset_bytes(self, block: u64, block_size_bytes: u32) -> u64 {
        self.header_bytes() + block * self.block_bytes(u64::from(block_size_bytes))
    }
}

/// Encodes the part of a header that all versions have.
pub(super) fn header(form: Form, name: &ShardName, profile: Profile, block_size_bytes: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&form.version().to_le_bytes());
    // Profiles are bounded far below 256.
    header[10] = u8::try_from(profile.data()).unwrap_or(u8::MAX);
    header[11] = u8::try_from(profile.parity()).unwrap_or(u8::MAX);
    header[12] = name.shard.0;
    header[16..32].copy_from_slice(&name.object.0);
    header[32..36].copy_from_slice(&name.extent.0.to_le_bytes());
    header[36..40].copy_from_slice(&block_size_bytes.to_le_bytes());
    header[40..48].copy_from_slice(&name.attempt.0.to_le_bytes());
    let checksum = checksum(&header[..COVERED]);
    header[COVERED..].copy_from_slice(&checksum);
    header
}

/// Checks that a header as read is the expected one, of whichever version; says what is wrong with it otherwise.
pub(super) fn check_header(
    found: &[u8],
    name: &ShardName,
    profile: Profile,
    block_size_bytes: u32,
) -> Result<Form, &'static str> {
    for form in Form::ALL {
        if found == header(form, name, profile, block_size_bytes) {
            return Ok(form);
        }
    }
    // From here on it only matters which words help the reader most.
    if found.len() != HEADER || &found[..8] != MAGIC {
        return Err("it does not begin like a shard file");
    }
    if checksum(&found[..COVERED]) != found[COVERED..] {
        return Err("the checksum of its header does not match");
    }
    if Form::of(found).is_none() {
        return Err("it has another format version");
    }
    Err("its header belongs to another shard")
}

/// The shard that a file is by its header, whatever its name is; `None` if it is no header, is damaged, or has another
/// version.
#[must_use]
pub fn read_header(found: &[u8; HEADER]) -> Option<ShardName> {
    let is_header = &found[..8] == MAGIC && Form::of(found).is_some();
    if !is_header || checksum(&found[..COVERED]) != found[COVERED..] {
        return None;
    }
    Some(ShardName {
        object: ObjectId(found[16..32].try_into().ok()?),
        extent: ExtentIndex(u32::from_le_bytes(found[32..36].try_into().ok()?)),
        attempt: Attempt(u64::from_le_bytes(found[40..48].try_into().ok()?)),
        shard: ShardIndex(found[12]),
    })
}

/// Profile and block size of a header that is whole.
pub(super) fn read_shape(found: &[u8; HEADER]) -> Option<(Profile, u32)> {
    let profile = Profile::new(found[10], found[11]).ok()?;
    Some((profile, u32::from_le_bytes(found[36..40].try_into().ok()?)))
}

fn checksum(bytes: &[u8]) -> [u8; HEADER - COVERED] {
    let hash = blake3::keyed_hash(DOMAIN, bytes);
    let mut checksum = [0; HEADER - COVERED];
    checksum.copy_from_slice(&hash.as_bytes()[..HEADER - COVERED]);
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_its_shard_and_a_damaged_one_tells_nothing() {
        let name =
            ShardName { object: ObjectId([7; 16]), extent: ExtentIndex(3), attempt: Attempt(9), shard: ShardIndex(2) };
        for form in Form::ALL {
            let whole = header(form, &name, Profile::new(4, 2).unwrap(), 65_536);
            assert_eq!(read_header(&whole), Some(name));
            assert_eq!(read_shape(&whole), Some((Profile::new(4, 2).unwrap(), 65_536)));
            for bit in 0..HEADER * 8 {
                let mut damaged = whole;
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read_header(&damaged), None, "{bit}");
            }
        }
    }
}
