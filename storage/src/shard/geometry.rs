//! Arithmetic of an extent: which bytes lie in which block of which shard.
//!
//! An extent of `length_bytes` is cut into stripes of `k × block_size` data bytes. Stripe `s` puts its data byte `b`
//! into data shard `b / block_length(s)`. Every shard has one block per stripe; all blocks of a stripe have the same
//! length. The last stripe is shorter: its blocks hold `ceil(rest / k)` bytes, rounded up to an even number (the
//! codec works on pairs), the tail padded with zeros that are stored but never served.

use serde::{Deserialize, Serialize};

use crate::codec::Profile;

/// Shape of one extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Geometry {
    /// Erasure profile.
    pub profile: Profile,
    /// Bytes of a full block, even.
    pub block_size_bytes: u32,
    /// Data bytes of the extent, without padding.
    pub length_bytes: u64,
}

impl Geometry {
    /// Data bytes of a full stripe.
    #[must_use]
    pub fn stripe_size_bytes(&self) -> u64 {
        u64::from(self.block_size_bytes) * self.profile.data() as u64
    }

    /// Number of stripes, and of blocks in each shard.
    #[must_use]
    pub fn stripes(&self) -> u64 {
        self.length_bytes.div_ceil(self.stripe_size_bytes())
    }

    /// Data bytes in stripe `stripe`, without padding.
    #[must_use]
    pub fn stripe_length_bytes(&self, stripe: u64) -> u64 {
        let start = stripe.saturating_mul(self.stripe_size_bytes());
        self.length_bytes.saturating_sub(start).min(self.stripe_size_bytes())
    }

    /// Bytes of every block in stripe `stripe`, padding included.
    #[must_use]
    pub fn block_length_bytes(&self, stripe: u64) -> u32 {
        block_length_bytes(self.profile, self.block_size_bytes, self.stripe_length_bytes(stripe))
    }

    /// Bytes of all blocks of one shard, padding included, headers and checksums not.
    #[must_use]
    pub fn shard_length_bytes(&self) -> u64 {
        let Some(last) = self.stripes().checked_sub(1) else { return 0 };
        last.saturating_mul(u64::from(self.block_size_bytes)).saturating_add(u64::from(self.block_length_bytes(last)))
    }
}

/// Bytes of every block of a stripe that holds `stripe_length_bytes` data bytes.
#[must_use]
pub fn block_length_bytes(profile: Profile, block_size_bytes: u32, stripe_length_bytes: u64) -> u32 {
    let block = stripe_length_bytes.div_ceil(profile.data() as u64).next_multiple_of(2);
    u32::try_from(block).unwrap_or(u32::MAX).min(block_size_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(length_bytes: u64) -> Geometry {
        Geometry { profile: Profile::new(2, 1).unwrap(), block_size_bytes: 8, length_bytes }
    }

    #[test]
    fn full_stripes_have_full_blocks() {
        let geometry = geometry(32);
        assert_eq!(geometry.stripes(), 2);
        assert_eq!(geometry.block_length_bytes(0), 8);
        assert_eq!(geometry.block_length_bytes(1), 8);
    }

    #[test]
    fn the_last_stripe_is_short_and_even() {
        let geometry = geometry(16 + 5);
        assert_eq!(geometry.stripes(), 2);
        assert_eq!(geometry.stripe_length_bytes(1), 5);
        assert_eq!(geometry.block_length_bytes(1), 4);
    }

    proptest! {
        #[test]
        fn stripes_hold_exactly_the_extent(k in 1u8..=32, m in 0u8..=16, half in 1u32..5000, length_bytes in 0u64..2_000_000) {
            let profile = Profile::new(k, m).unwrap();
            let geometry = Geometry { profile, block_size_bytes: half * 2, length_bytes };
            let stripes = geometry.stripes();
            let mut sum = 0;
            for stripe in 0..stripes {
                let data = geometry.stripe_length_bytes(stripe);
                let block = geometry.block_length_bytes(stripe);
                let room = u64::from(block) * u64::from(k);
                sum += data;
                prop_assert!(data > 0 && block > 0 && block.is_multiple_of(2) && block <= geometry.block_size_bytes);
                prop_assert!(data <= room, "the data fits");
                prop_assert!(room - data < 2 * u64::from(k), "the padding is less than a pair for each block");
                if stripe + 1 < stripes {
                    prop_assert_eq!(block, geometry.block_size_bytes);
                    prop_assert_eq!(data, geometry.stripe_size_bytes());
                }
            }
            prop_assert_eq!(sum, length_bytes);
            prop_assert_eq!(geometry.stripe_length_bytes(stripes), 0);
        }

        #[test]
        fn no_length_overflows(k in 1u8..=32, half in 1u32..=u32::MAX / 2, length_bytes: u64, stripe: u64) {
            let profile = Profile::new(k, 2).unwrap();
            let geometry = Geometry { profile, block_size_bytes: half * 2, length_bytes };
            prop_assert!(geometry.block_length_bytes(stripe) <= geometry.block_size_bytes);
            prop_assert!(geometry.stripes() <= length_bytes);
        }
    }

    #[test]
    fn an_empty_extent_has_no_stripes() {
        assert_eq!(geometry(0).stripes(), 0);
    }
}
