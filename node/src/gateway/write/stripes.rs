//! Bytes cut into stripes and coded into blocks.

use std::sync::Arc;

use bytes::Bytes;
use storage::codec::{Codec, CodecError};
use storage::shard::{ShardIndex, ShardName, block_length_bytes, checksum};

use crate::shards::Block;

/// Bytes that wait to be cut into whole stripes.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    waiting: Bytes,
}

impl Cutter {
    /// Adds bytes. A remainder of earlier ones is joined with them, which copies; batches are whole stripes as long as
    /// the profile stays, so this is rare.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.waiting.is_empty() {
            self.waiting = bytes;
            return;
        }
        let mut joined = Vec::with_capacity(self.waiting.len() + bytes.len());
        joined.extend_from_slice(&self.waiting);
        joined.extend_from_slice(&bytes);
        // The batch keeps its share of the budget for as long as the copy lives.
        self.waiting = Bytes::from_owner(Joined { joined, _batch: bytes });
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// As many whole stripes as there are, `room` bytes at most; at the end also the short stripe behind them.
    pub(super) fn cut(&mut self, stripe_bytes: usize, room: usize, end: bool) -> Option<Bytes> {
        let available = self.waiting.len().min(room);
        let whole = available - available % stripe_bytes;
        let taken = if end && self.waiting.len() <= room { self.waiting.len() } else { whole };
        if taken > 0 {
            return Some(self.waiting.split_to(taken));
        }
        // What waits for the next batch must not keep the budget's share of the last one: if all uploads did, none
        // would get its next batch.
        self.waiting = Bytes::copy_from_slice(&self.waiting);
        None
    }
}

struct Joined {
    joined: Vec<u8>,
    _batch: Bytes,
}

impl AsRef<[u8]> for Joined {
    fn as_ref(&self) -> &[u8] {
        &self.joined
    }
}

/// The extent that stripes belong to.
#[derive(Clone, Debug)]
pub(super) struct Coding {
    /// Code of its profile.
    pub(super) codec: Arc<Codec>,
    /// Bytes of a full block.
    pub(super) block_size_bytes: u32,
    /// Name of its first shard.
    pub(super) name: ShardName,
}

impl Coding {
    /// Data bytes of a full stripe.
    pub(super) fn stripe_bytes(&self) -> usize {
        self.block_size_bytes as usize * self.codec.profile().data()
    }

    /// Codes stripes, the first of which has index `first_stripe`, into the blocks of each shard. All stripes are full,
    /// except that the last one may be short. Burns CPU.
    pub(super) fn code(&self, data: &Bytes, first_stripe: u64) -> Result<Vec<Vec<Block>>, CodecError> {
        let profile = self.codec.profile();
        let stripe_bytes = self.stripe_bytes();
        let stripes = data.len().div_ceil(stripe_bytes);
        let mut shards: Vec<Vec<Block>> = (0..profile.shards()).map(|_| Vec::with_capacity(stripes)).collect();
        for (stripe, start) in (first_stripe..).zip((0..data.len()).step_by(stripe_bytes)) {
            let bytes = data.slice(start..data.len().min(start + stripe_bytes));
            let blocks = self.data_blocks(&bytes);
            let views: Vec<&[u8]> = blocks.iter().map(AsRef::as_ref).collect();
            let parity = self.codec.encode(&views)?.into_iter().map(Bytes::from);
            for ((shard, blocks_of_shard), block) in (0_u8..).zip(&mut shards).zip(blocks.iter().cloned().chain(parity))
            {
                let name = ShardName { shard: ShardIndex(shard), ..self.name };
                blocks_of_shard.push(Block { checksum: checksum(&name, stripe, &block), bytes: block });
            }
        }
        Ok(shards)
    }

    /// The data blocks of one stripe: slices of its bytes, copied only when the stripe is short and needs padding.
    fn data_blocks(&self, bytes: &Bytes) -> Vec<Bytes> {
        let profile = self.codec.profile();
        let block = block_length_bytes(profile, self.block_size_bytes, bytes.len() as u64) as usize;
        let padded = if bytes.len() == block * profile.data() {
            bytes.clone()
        } else {
            let mut padded = bytes.to_vec();
            padded.resize(block * profile.data(), 0);
            Bytes::from(padded)
        };
        (0..profile.data()).map(|shard| padded.slice(shard * block..(shard + 1) * block)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::codec::Profile;
    use storage::shard::{Attempt, ExtentIndex, Geometry, ObjectId};

    use super::*;

    fn coding(profile: &str) -> Coding {
        let profile: Profile = profile.parse().unwrap();
        let name =
            ShardName { object: ObjectId([3; 16]), extent: ExtentIndex(1), attempt: Attempt(5), shard: ShardIndex(0) };
        Coding { codec: Arc::new(Codec::new(profile)), block_size_bytes: 8, name }
    }

    #[test]
    fn a_cutter_keeps_what_does_not_fill_a_stripe() {
        let mut cutter = Cutter::default();
        cutter.push(Bytes::from_static(b"abcdefgh"));
        assert_eq!(cutter.cut(3, 100, false).unwrap(), "abcdef");
        assert!(cutter.cut(3, 100, false).is_none());
        cutter.push(Bytes::from_static(b"ijkl"));
        assert_eq!(cutter.cut(3, 3, true).unwrap(), "ghi");
        assert_eq!(cutter.cut(3, 100, true).unwrap(), "jkl");
        assert!(cutter.is_empty() && cutter.cut(3, 100, true).is_none());
    }

    proptest! {
        #[test]
        fn blocks_have_the_geometry_of_their_extent(length in 1_usize..200, two in any::<bool>()) {
            let coding = coding(if two { "3+2" } else { "1+1" });
            let profile = coding.codec.profile();
            let geometry = Geometry { profile, block_size_bytes: 8, length_bytes: length as u64 };
            let data: Vec<u8> = (0..length).map(|position| u8::try_from(position % 251).unwrap()).collect();
            let shards = coding.code(&Bytes::from(data.clone()), 0).unwrap();
            prop_assert_eq!(shards.len(), profile.shards());
            let mut joined = Vec::new();
            for stripe in 0..geometry.stripes() {
                let row = usize::try_from(stripe).unwrap();
                for (index, shard) in shards.iter().enumerate() {
                    prop_assert_eq!(shard.len() as u64, geometry.stripes());
                    let block = &shard[row];
                    prop_assert_eq!(block.bytes.len(), geometry.block_length_bytes(stripe) as usize);
                    let name = ShardName { shard: ShardIndex(u8::try_from(index).unwrap()), ..coding.name };
                    prop_assert_eq!(block.checksum, checksum(&name, stripe, &block.bytes));
                }
                let start = joined.len();
                for shard in &shards[..profile.data()] {
                    joined.extend_from_slice(&shard[row].bytes);
                }
                joined.truncate(start + usize::try_from(geometry.stripe_length_bytes(stripe)).unwrap());
            }
            prop_assert_eq!(joined, data);
        }
    }
}
