//! What the background work counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Metrics of the background work. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Extents brought back to their redundancy.
    pub reencoded_extents: Counter,
    /// Attempts at that which failed.
    pub reencode_failures: Counter,
    /// Discarded shards unlinked.
    pub swept_shards: Counter,
    /// Upload sessions ended because they made no progress.
    pub expired_uploads: Counter,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters: [(&str, &str, &Counter); 4] = [
            (
                "regnode_background_reencoded_extents",
                "Extents brought back to their redundancy",
                &metrics.reencoded_extents,
            ),
            (
                "regnode_background_reencode_failures",
                "Failed attempts to bring an extent back to its redundancy",
                &metrics.reencode_failures,
            ),
            ("regnode_background_swept_shards", "Discarded shards unlinked", &metrics.swept_shards),
            (
                "regnode_background_expired_uploads",
                "Upload sessions ended because they made no progress",
                &metrics.expired_uploads,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        metrics
    }
}
