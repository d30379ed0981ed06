//! Metrics of shard files: what was written and read, and what was found damaged.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tracing::warn;

use super::{Place, ShardError};

type Labels = [(&'static str, &'static str); 2];

/// Counters of shard files.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    writes: Family<Labels, Counter>,
    reads: Family<Labels, Counter>,
    corrupt: Counter,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_shard_writes",
            "Shard files written by this node, by place of the disk and outcome",
            metrics.writes.clone(),
        );
        registry.register(
            "regnode_node_shard_reads",
            "Reads of shard blocks by this node, by place of the disk and outcome",
            metrics.reads.clone(),
        );
        registry.register(
            "regnode_node_shard_corrupt",
            "Shard reads that found bytes other than those written",
            metrics.corrupt.clone(),
        );
        metrics
    }

    /// Counts the end of a write.
    pub(super) fn write<T>(&self, place: &'static str, outcome: &Result<T, ShardError>) {
        self.writes.get_or_create(&labels(place, outcome)).inc();
    }

    /// Counts a read.
    pub(super) fn read<T>(&self, place: &'static str, outcome: &Result<T, ShardError>) {
        self.reads.get_or_create(&labels(place, outcome)).inc();
    }

    /// Counts and logs bytes that are not those that were written.
    pub(super) fn corrupt(&self, place: &Place, reason: &str) {
        self.corrupt.inc();
        let Place { location, name } = place;
        warn!(
            node = %location.node,
            disk = %location.disk,
            object = %name.object,
            extent = name.extent.0,
            shard = name.shard.0,
            reason,
            "shard checksum mismatch"
        );
    }

    /// How often damage was found.
    #[must_use]
    pub fn corrupt_total(&self) -> u64 {
        self.corrupt.get()
    }
}

fn labels<T>(place: &'static str, outcome: &Result<T, ShardError>) -> Labels {
    let outcome = match outcome {
        Ok(_) => "done",
        Err(ShardError::Missing { .. }) => "missing",
        Err(ShardError::Corrupt { .. }) => "corrupt",
        Err(ShardError::NoSpace { .. }) => "no_space",
        Err(ShardError::Unreachable { .. }) => "unreachable",
        Err(ShardError::TimedOut { .. }) => "timed_out",
        Err(ShardError::Busy { .. }) => "busy",
        Err(ShardError::Io { .. }) => "failed",
    };
    [("place", place), ("outcome", outcome)]
}
