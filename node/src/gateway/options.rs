//! What can be set about the gateway. The defaults fit production; tests make everything small.

use std::time::Duration;

/// Limits and sizes of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a full shard block; even.
    pub block_size_bytes: u32,
    /// Data bytes after which an extent is closed and the next one begins; at least a stripe.
    pub extent_size_bytes: u64,
    /// Objects up to this size live in the catalog itself.
    pub inline_size_bytes_max: u64,
    /// Bytes that are gathered before they are hashed and coded, rounded to whole stripes.
    pub batch_size_bytes: usize,
    /// Bytes of all uploads of this node that may wait to be hashed, coded and written, parity included.
    pub write_budget_bytes: usize,
    /// Bytes that a reader fetches at once. Many readers at a time get smaller windows.
    pub window_size_bytes: u64,
    /// Bytes of all windows of this node's readers, until their clients have taken them; a quarter is kept for extents
    /// that are read to be written anew.
    pub read_budget_bytes: u64,
    /// Time after which another shard is asked for what a slow one still owes.
    pub hedge_delay: Duration,
    /// Largest object that is taken.
    pub object_size_bytes_max: u64,
    /// An upload session without progress for so long expires.
    pub upload_lifetime_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_size_bytes: 256 << 10,
            extent_size_bytes: 1 << 30,
            inline_size_bytes_max: 32 << 10,
            batch_size_bytes: 1 << 20,
            write_budget_bytes: 32 << 20,
            window_size_bytes: 1 << 20,
            read_budget_bytes: 64 << 20,
            hedge_delay: Duration::from_millis(300),
            object_size_bytes_max: 4 << 40,
            upload_lifetime_seconds: 24 * 3600,
        }
    }
}
