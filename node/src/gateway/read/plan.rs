//! Which blocks of which shards a range of an extent touches. Pure arithmetic.

use std::ops::Range;

use storage::shard::Geometry;

/// Part of an extent that is fetched at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Data bytes, counted from the extent's first.
    pub(super) bytes: Range<u64>,
    /// Stripes that hold them.
    pub(super) stripes: Range<u64>,
}

/// A run of bytes within one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The block's stripe.
    pub(super) stripe: u64,
    /// The block's shard, a data shard.
    pub(super) shard: usize,
    /// Bytes within the block.
    pub(super) bytes: Range<usize>,
}

/// The first window of a range: it ends where a multiple of `stripes_max` stripes ends, so that windows of one reader
/// touch no block twice. `None` when the range is empty or begins behind the extent.
pub(super) fn first_window(geometry: &Geometry, range: Range<u64>, stripes_max: u64) -> Option<Window> {
    let end = range.end.min(geometry.length_bytes);
    if range.start >= end {
        return None;
    }
    let stripe_bytes = geometry.stripe_size_bytes();
    let first = range.start / stripe_bytes;
    let stripes_max = stripes_max.max(1);
    let boundary = (first / stripes_max + 1) * stripes_max;
    let end = end.min(boundary.saturating_mul(stripe_bytes));
    Some(Window { bytes: range.start..end, stripes: first..end.div_ceil(stripe_bytes) })
}

/// All windows of a range, in order.
pub(super) fn windows(geometry: Geometry, range: Range<u64>, stripes_max: u64) -> impl Iterator<Item = Window> + Send {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let window = first_window(&geometry, start..range.end, stripes_max)?;
        start = window.bytes.end;
        Some(window)
    })
}

impl Window {
    /// The bytes of the window as pieces of blocks, in order.
    pub(super) fn pieces(&self, geometry: &Geometry) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut position = self.bytes.start;
        while position < self.bytes.end {
            let stripe = position / geometry.stripe_size_bytes();
            let stripe_start = stripe * geometry.stripe_size_bytes();
            let within = position - stripe_start;
            let block = u64::from(geometry.block_length_bytes(stripe)).max(1);
            let start = within % block;
            let length =
                (block - start).min(geometry.stripe_length_bytes(stripe) - within).min(self.bytes.end - position);
            pieces.push(Piece { stripe, shard: index(within / block), bytes: index(start)..index(start + length) });
            position += length;
        }
        pieces
    }

    /// Blocks of each data shard that hold the window's bytes. They are contiguous.
    pub(super) fn wanted(&self, geometry: &Geometry) -> Vec<Range<u64>> {
        let mut wanted = vec![0..0; geometry.profile.data()];
        for piece in self.pieces(geometry) {
            let blocks: &mut Range<u64> = &mut wanted[piece.shard];
            *blocks = if blocks.is_empty() { piece.stripe..piece.stripe + 1 } else { blocks.start..piece.stripe + 1 };
        }
        wanted
    }
}

fn index(value: u64) -> usize {
    usize::try_from(value).expect("a block fits into memory")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::codec::Profile;

    use super::*;

    fn any_geometry() -> impl Strategy<Value = Geometry> {
        (1..5_u8, 0..3_u8, 1..8_u32, 0..300_u64).prop_map(|(data, parity, half_block, length_bytes)| Geometry {
            profile: Profile::new(data, parity).unwrap(),
            block_size_bytes: 2 * half_block,
            length_bytes,
        })
    }

    proptest! {
        #[test]
        fn windows_cover_the_range_once_and_touch_no_other_block(
            geometry in any_geometry(), start in 0..320_u64, length in 0..320_u64, stripes_max in 0..4_u64,
        ) {
            let mut position = start;
            let mut touched = std::collections::BTreeSet::new();
            for window in windows(geometry, start..start + length, stripes_max) {
                prop_assert_eq!(window.bytes.start, position);
                prop_assert!(window.stripes.end - window.stripes.start <= stripes_max.max(1));
                let wanted = window.wanted(&geometry);
                let mut asked = 0;
                for piece in window.pieces(&geometry) {
                    let block = u64::from(geometry.block_length_bytes(piece.stripe));
                    let offset = piece.stripe * geometry.stripe_size_bytes() + piece.shard as u64 * block;
                    prop_assert_eq!(offset + piece.bytes.start as u64, position);
                    prop_assert!(piece.bytes.end as u64 <= block && !piece.bytes.is_empty());
                    prop_assert!(wanted[piece.shard].contains(&piece.stripe));
                    prop_assert!(window.stripes.contains(&piece.stripe));
                    prop_assert!(touched.insert((piece.stripe, piece.shard)));
                    position += piece.bytes.len() as u64;
                    asked += 1;
                }
                prop_assert_eq!(wanted.iter().map(|blocks| blocks.end - blocks.start).sum::<u64>(), asked);
                prop_assert_eq!(window.bytes.end, position);
            }
            let end = (start + length).min(geometry.length_bytes);
            prop_assert_eq!(position, if start < end { end } else { start });
        }
    }
}
