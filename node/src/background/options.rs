//! What can be set about the background work.

use raft::catalog::DISCARD_GRACE_SECONDS;

/// Limits of the background work. The defaults fit production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A node may be away for so long before its shards are rebuilt elsewhere.
    pub node_grace_seconds: u64,
    /// A lost shard that fits on no other node is waited for so long before its extent is written anew with less data
    /// per stripe.
    pub rewrite_grace_seconds: u64,
    /// Bytes that repair, drain and rebalance read and write in each second, together; zero is without limit.
    pub bytes_per_second: u64,
    /// Disks are balanced when none is fuller or emptier than their average by more than so many percent of its size.
    pub band_percent: u8,
    /// Things that are collected in each second, tags that deletion jobs delete, and shards that are unlinked, each; zero
    /// is without limit.
    pub garbage_items_per_second: u64,
    /// Shards that are needed no more stay so long for readers that have begun, at most as long as the catalog keeps them:
    /// [`DISCARD_GRACE_SECONDS`].
    pub reader_grace_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_grace_seconds: 600,
            rewrite_grace_seconds: 24 * 3600,
            bytes_per_second: 256 << 20,
            band_percent: 5,
            garbage_items_per_second: 2000,
            reader_grace_seconds: DISCARD_GRACE_SECONDS,
        }
    }
}
