//! The checksum of a block. It binds the bytes to their place, so that a good block in the wrong place is a bad one.
//!
//! BLAKE3, keyed twice: a key is derived from the place (object, extent, attempt, shard, block, length), and the bytes
//! are hashed under that key. The bytes then begin at the hash's own chunk boundary, which lets it work on many
//! chunks at a time. The checksum is against faults, not against someone who can write to the disk.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ShardName;

/// Key of the first hash: the domain of these checksums, and the version of their derivation.
const DOMAIN: &[u8; 32] = b"regnode shard block checksum, v1";

/// Bytes of the place: object 16, extent 4, attempt 8, shard 1, block 8, length 8.
const PLACE_BYTES: usize = 45;

/// Checksum of one block in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checksum(pub [u8; 32]);

impl Checksum {
    /// Length of a checksum.
    pub const BYTES: usize = 32;
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The checksum of `bytes` as block number `block` of the shard `name`.
#[must_use]
pub fn checksum(name: &ShardName, block: u64, bytes: &[u8]) -> Checksum {
    let mut place = [0; PLACE_BYTES];
    place[..16].copy_from_slice(&name.object.0);
    place[16..20].copy_from_slice(&name.extent.0.to_le_bytes());
    place[20..28].copy_from_slice(&name.attempt.0.to_le_bytes());
    place[28] = name.shard.0;
    place[29..37].copy_from_slice(&block.to_le_bytes());
    place[37..45].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    let key = blake3::keyed_hash(DOMAIN, &place);
    Checksum(*blake3::keyed_hash(key.as_bytes(), bytes).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::{Attempt, ExtentIndex, ObjectId, ShardIndex};
    use super::*;

    const NAME: ShardName =
        ShardName { object: ObjectId([1; 16]), extent: ExtentIndex(2), attempt: Attempt(3), shard: ShardIndex(4) };

    #[test]
    fn every_part_of_the_place_counts() {
        let all = [
            checksum(&NAME, 5, b"bytes"),
            checksum(&ShardName { object: ObjectId([2; 16]), ..NAME }, 5, b"bytes"),
            checksum(&ShardName { extent: ExtentIndex(3), ..NAME }, 5, b"bytes"),
            checksum(&ShardName { attempt: Attempt(4), ..NAME }, 5, b"bytes"),
            checksum(&ShardName { shard: ShardIndex(5), ..NAME }, 5, b"bytes"),
            checksum(&NAME, 6, b"bytes"),
            checksum(&NAME, 5, b"bytez"),
            checksum(&NAME, 5, b"bytes\0"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{index}");
        }
    }

    #[test]
    fn the_derivation_is_frozen() {
        let frozen = "2edc574bf7c7f317e5a94f2ce7c1f2705a156eac105d7c7c6c7947deb8d6e1c5";
        assert_eq!(checksum(&NAME, 5, b"bytes").to_string(), frozen);
    }
}
