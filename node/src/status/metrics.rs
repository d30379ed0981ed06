//! Groups and totals as metrics, read at the moment of each scrape.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use raft::catalog::{Catalog, View};
use raft::directory::Directory;
use raft::group::{Group, GroupStatus};

/// Metrics of the node's groups.
pub struct GroupMetrics {
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
}

impl fmt::Debug for GroupMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GroupMetrics")
    }
}

type Reading = (&'static str, &'static str, fn(&GroupStatus) -> u64);

const GROUPS: [Reading; 6] = [
    ("regnode_raft_group_leader", "1 if this node leads the group", |status| {
        u64::from(status.role == raft::group::Role::Leader)
    }),
    ("regnode_raft_group_has_leader", "1 if a leader is known", |status| u64::from(status.leader.is_some())),
    ("regnode_raft_group_term", "Present term", |status| status.term),
    ("regnode_raft_group_applied_entries", "Last entry applied on this node", |status| {
        status.applied_index.unwrap_or(0)
    }),
    ("regnode_raft_group_voters", "Members that vote", |status| status.voters.len() as u64),
    ("regnode_raft_group_lag_entries", "Entries that the slowest member lacks; known on the leader only", |status| {
        status.lag.values().copied().max().unwrap_or(0)
    }),
];

impl Collector for GroupMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let statuses = [self.directory.status(), self.catalog.status()];
        for (name, help, read) in GROUPS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for status in &statuses {
                let labels = [("group", status.group.to_string())];
                gauge(read(status)).encode(family.encode_family(&labels)?)?;
            }
        }
        // A catalog that cannot be read has no totals; that it has stopped shows elsewhere.
        let Ok(totals) = View::new(self.catalog.state()).totals() else { return Ok(()) };
        for (name, help, value) in [
            ("regnode_catalog_repositories", "Repositories with content", totals.repositories),
            ("regnode_catalog_manifests", "Manifests, once per repository", totals.manifests),
            ("regnode_catalog_tags", "Tags", totals.tags),
            ("regnode_catalog_blobs", "Blobs", totals.blobs),
            ("regnode_catalog_blobs_bytes", "Bytes of all blobs", totals.blob_bytes),
            ("regnode_catalog_uploads", "Open upload sessions", totals.uploads),
            ("regnode_catalog_shortfalls", "Extents below their redundancy", totals.shortfalls),
            ("regnode_catalog_discards", "Shard sets waiting to be unlinked", totals.discards),
        ] {
            gauge(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
