//! Whether and where a single shard moves for the sake of balance: pure.

use raft::catalog::{CodedExtent, DiskLocation};
use storage::shard::ShardIndex;

use super::balance::Balance;
use crate::gateway::placement::{Survey, Wanted};

/// The disk that a shard should go to: one that wants it, on a node that holds no other shard of the extent, in a zone
/// that holds no more of them than its own does.
pub(super) fn choose(
    balance: &Balance,
    survey: &Survey,
    coded: &CodedExtent,
    shard: ShardIndex,
    wanted: &Wanted<'_>,
) -> Option<DiskLocation> {
    let from = coded.location(shard)?.on();
    let kept: Vec<DiskLocation> =
        coded.numbered().filter(|(other, _)| *other != shard).map(|(_, location)| location.on()).collect();
    let crowd = |at: DiskLocation| {
        let zone = survey.zone(at.node);
        kept.iter().filter(|other| survey.zone(other.node) == zone).count()
    };
    let candidates = balance.wanting(from, wanted.shard_bytes).into_iter();
    let mut candidates = candidates.filter(|to| wanted.fits(survey, &kept, *to) && crowd(*to) <= crowd(from));
    candidates.next()
}
