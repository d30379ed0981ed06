//! What the rewriting counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of encryption. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    files: Counter,
    bytes: Counter,
    older: Gauge,
    keys: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters = [
            ("regnode_encryption_rewritten_files", "Shard files rewritten under the newest data key", &metrics.files),
            ("regnode_encryption_rewritten_bytes", "Bytes of shard files rewritten", &metrics.bytes),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "regnode_encryption_older_bytes",
            "Bytes of shard files that still lie under an older data key, or in the clear, and are to be rewritten",
            metrics.older.clone(),
        );
        registry.register("regnode_encryption_keys", "Data keys that this node holds", metrics.keys.clone());
        metrics
    }

    /// Counts a file.
    pub(super) fn rewritten(&self, bytes: u64) {
        self.files.inc();
        self.bytes.inc_by(bytes);
    }

    /// Says what is left, and how many keys there are.
    pub(super) fn set(&self, older_bytes: u64, keys: usize) {
        self.older.set(i64::try_from(older_bytes).unwrap_or(i64::MAX));
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }
}
