//! What the gateway counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of the gateway. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Uploads that were published.
    pub uploads: Counter,
    /// Bytes taken from clients.
    pub received: Counter,
    /// Bytes handed to clients.
    pub sent: Counter,
    /// Extents that were cut short because a shard's holder failed.
    pub cut_extents: Counter,
    /// Extents that were written anew before an acknowledgement because they had lost a shard.
    pub healed_extents: Counter,
    /// Windows that could be read only with parity.
    pub degraded_reads: Counter,
    /// Reads that were asked of another shard because one was slow.
    pub hedged_reads: Counter,
    /// Blocks computed from the others.
    pub reconstructed_blocks: Counter,
    /// Shards found damaged while reading.
    pub corrupt_shards: Counter,
    /// Shards found missing while reading.
    pub missing_shards: Counter,
    /// Bytes of the write budget in use.
    pub budget_used: Gauge,
    /// Bytes of the read budget in use.
    pub read_budget_used: Gauge,
    /// Uploads being written.
    pub uploads_active: Gauge,
    /// Blobs being read.
    pub reads_active: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters: [(&str, &str, &Counter); 10] = [
            ("regnode_gateway_uploads", "Uploads that were published", &metrics.uploads),
            ("regnode_gateway_received_bytes", "Bytes of blobs taken from clients", &metrics.received),
            ("regnode_gateway_sent_bytes", "Bytes of blobs handed to clients", &metrics.sent),
            (
                "regnode_gateway_cut_extents",
                "Extents cut short because a shard's holder failed meanwhile",
                &metrics.cut_extents,
            ),
            (
                "regnode_gateway_healed_extents",
                "Extents written anew before an acknowledgement because they had lost a shard",
                &metrics.healed_extents,
            ),
            ("regnode_gateway_degraded_reads", "Windows that could be read only with parity", &metrics.degraded_reads),
            (
                "regnode_gateway_hedged_reads",
                "Reads asked of another shard because one was slow",
                &metrics.hedged_reads,
            ),
            (
                "regnode_gateway_reconstructed_blocks",
                "Blocks computed from the other blocks of their stripe",
                &metrics.reconstructed_blocks,
            ),
            ("regnode_gateway_corrupt_shards", "Shards found damaged by a reader", &metrics.corrupt_shards),
            ("regnode_gateway_missing_shards", "Shards found missing by a reader", &metrics.missing_shards),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges: [(&str, &str, &Gauge); 4] = [
            ("regnode_gateway_budget_used_bytes", "Bytes of the write budget in use", &metrics.budget_used),
            ("regnode_gateway_read_budget_used_bytes", "Bytes of the read budget in use", &metrics.read_budget_used),
            ("regnode_gateway_uploads_active", "Uploads being written", &metrics.uploads_active),
            ("regnode_gateway_reads_active", "Blobs being read", &metrics.reads_active),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        metrics
    }
}
