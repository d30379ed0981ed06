//! What the background work counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::cause::PerCause;

/// Metrics of the background work. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Extents written anew as a whole.
    pub reencoded_extents: Counter,
    /// Single shards rebuilt or copied elsewhere.
    pub moved_shards: Counter,
    /// Attempts at either that failed.
    pub reencode_failures: Counter,
    /// Bytes of blocks read to rebuild, copy or write anew.
    pub read_bytes: PerCause,
    /// Bytes of blocks written, in vain too.
    pub written_bytes: PerCause,
    /// Bytes of blocks that had to be written: of the shards that the catalog refers to since.
    pub necessary_bytes: PerCause,
    /// Discarded shards unlinked.
    pub swept_shards: Counter,
    /// Upload sessions ended because they made no progress.
    pub expired_uploads: Counter,
    /// Things taken out of the catalog's garbage queue.
    pub collected_items: Counter,
    /// Bytes of the blobs among them.
    pub collected_bytes: Counter,
    /// Things taken away from repositories that rest in other regions since.
    pub evicted_items: Counter,
    /// Bytes of the blobs that they had linked.
    pub evicted_bytes: Counter,
    /// Tags that deletion jobs have looked at.
    pub job_examined_tags: Counter,
    /// Tags that deletion jobs have asked the catalog to delete.
    pub job_deleted_tags: Counter,
    /// Extents below their redundancy.
    pub shortfalls: Gauge,
    /// Those of them that bear no further loss.
    pub shortfalls_bare: Gauge,
    /// Those of them of which more is lost than they bear.
    pub shortfalls_lost: Gauge,
    /// Repositories that rest in other regions since and are not gone from here yet.
    pub leaving_repositories: Gauge,
    /// Bytes on nodes and disks that are being emptied.
    pub drain_left_bytes: Gauge,
    /// Bytes that the rebalance has yet to move.
    pub rebalance_left_bytes: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters: [(&str, &str, &Counter); 11] = [
            (
                "regnode_background_reencoded_extents",
                "Extents written anew as a whole to bring them to their redundancy or profile",
                &metrics.reencoded_extents,
            ),
            (
                "regnode_background_moved_shards",
                "Single shards rebuilt or copied to another place",
                &metrics.moved_shards,
            ),
            (
                "regnode_background_reencode_failures",
                "Failed attempts to bring an extent back to its redundancy or a shard elsewhere",
                &metrics.reencode_failures,
            ),
            ("regnode_background_swept_shards", "Discarded shards unlinked", &metrics.swept_shards),
            (
                "regnode_background_expired_uploads",
                "Upload sessions ended because they made no progress",
                &metrics.expired_uploads,
            ),
            (
                "regnode_gc_collected_items",
                "Things taken out of the garbage queue by this node",
                &metrics.collected_items,
            ),
            (
                "regnode_gc_collected_bytes",
                "Bytes of blobs taken out of the garbage queue by this node",
                &metrics.collected_bytes,
            ),
            (
                "regnode_background_evicted_items",
                "Tags, manifests, links and the like taken away by this node where they rest in another region since",
                &metrics.evicted_items,
            ),
            (
                "regnode_background_evicted_bytes",
                "Bytes of the blobs whose links were taken away with them",
                &metrics.evicted_bytes,
            ),
            (
                "regnode_job_examined_tags",
                "Tags that deletion jobs looked at while this node led",
                &metrics.job_examined_tags,
            ),
            (
                "regnode_job_deleted_tags",
                "Tags that deletion jobs had deleted while this node led",
                &metrics.job_deleted_tags,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        metrics.register_bytes(registry);
        metrics.register_gauges(registry);
        metrics
    }

    /// Registers what is counted by cause.
    fn register_bytes(&self, registry: &mut Registry) {
        let families: [(&str, &str, &PerCause); 3] = [
            (
                "regnode_background_read_bytes",
                "Bytes of blocks read to rebuild, copy or write anew, by cause",
                &self.read_bytes,
            ),
            (
                "regnode_background_written_bytes",
                "Bytes of blocks written by repair, drain and rebalance, in vain too, by cause",
                &self.written_bytes,
            ),
            (
                "regnode_background_necessary_bytes",
                "Bytes of blocks that had to be written by repair, drain and rebalance, by cause",
                &self.necessary_bytes,
            ),
        ];
        for (name, help, family) in families {
            registry.register(name, help, family.family().clone());
        }
    }

    /// Registers what goes up and down.
    fn register_gauges(&self, registry: &mut Registry) {
        let gauges: [(&str, &str, &Gauge); 6] = [
            ("regnode_background_shortfalls", "Extents below their redundancy", &self.shortfalls),
            (
                "regnode_background_shortfalls_bare",
                "Extents that cannot bear the loss of another shard",
                &self.shortfalls_bare,
            ),
            (
                "regnode_background_shortfalls_lost",
                "Extents of which more shards are lost than they bear",
                &self.shortfalls_lost,
            ),
            (
                "regnode_background_leaving_repositories",
                "Repositories that rest in other regions since and are not gone from here yet, at most a thousand",
                &self.leaving_repositories,
            ),
            (
                "regnode_background_drain_left_bytes",
                "Bytes on nodes and disks that are being emptied",
                &self.drain_left_bytes,
            ),
            (
                "regnode_background_rebalance_left_bytes",
                "Bytes that are to be moved until the disks are balanced",
                &self.rebalance_left_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }
}
