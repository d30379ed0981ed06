//! What the scrub counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use storage::shard::ShardFault;

/// Metrics of the scrub. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Bytes of blocks that were read and checked.
    pub bytes: Counter,
    /// Shards read.
    pub shards: Counter,
    /// Passes finished.
    pub passes: Counter,
    /// Shards that the catalog places on a disk that has no such file, found by inventories.
    pub missing: Counter,
    /// Files unlinked that the catalog did not know.
    pub orphans_removed: Counter,
    faults: Family<[(&'static str, &'static str); 1], Counter>,
    orphans: Family<[(&'static str, String); 1], Gauge>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters: [(&str, &str, &Counter); 5] = [
            ("regnode_scrub_read_bytes", "Bytes of blocks read and checked by the scrub", &metrics.bytes),
            ("regnode_scrub_shards", "Shards read by the scrub", &metrics.shards),
            ("regnode_scrub_passes", "Passes of the scrub over a whole disk", &metrics.passes),
            ("regnode_scrub_missing_shards", "Shard files that inventories did not find", &metrics.missing),
            (
                "regnode_scrub_orphans_removed",
                "Shard files unlinked that the catalog did not know",
                &metrics.orphans_removed,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "regnode_scrub_faults",
            "Shards that the scrub found bad, by what was the matter",
            metrics.faults.clone(),
        );
        registry.register(
            "regnode_scrub_orphans",
            "Shard files that the catalog does not know and that wait for the end of their grace, by disk",
            metrics.orphans.clone(),
        );
        metrics
    }

    /// Counts a bad shard.
    pub(super) fn fault(&self, fault: ShardFault) {
        self.faults.get_or_create(&[("fault", fault.name())]).inc();
    }

    /// Sets how many orphans wait on a disk.
    pub(super) fn set_orphans(&self, disk: &str, orphans: u64) {
        self.orphans.get_or_create(&[("disk", disk.to_owned())]).set(i64::try_from(orphans).unwrap_or(i64::MAX));
    }

    /// Forgets a disk.
    pub(super) fn forget(&self, disk: &str) {
        self.orphans.remove(&[("disk", disk.to_owned())]);
    }
}
