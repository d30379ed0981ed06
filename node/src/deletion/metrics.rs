//! What namespaces use, what waits to be collected and which jobs run, read at the moment of each scrape. The same on
//! every node.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use raft::catalog::{Catalog, StateError, UsageRecord, View};
use raft::group::Group;
use raft::policy::{Quota, QuotaResource};
use storage::kv::Engine;

use super::queued;

/// Namespaces that are shown: those that set a policy, by prefix. More would be too much for who reads them.
const NAMESPACES_MAX: usize = 1000;
/// The root namespace as a label, where an empty one is as good as none.
const ROOT: &str = "/";

/// Metrics of deleting and of usage.
pub struct DeletionMetrics {
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
}

impl fmt::Debug for DeletionMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DeletionMetrics")
    }
}

/// A namespace that sets a policy.
#[derive(Debug)]
struct Row {
    label: String,
    quota: Quota,
    usage: UsageRecord,
}

type Used = (&'static str, &'static str, fn(&UsageRecord) -> u64);

const USED: [Used; 5] = [
    ("regnode_usage_bytes", "Bytes of blobs in a namespace that sets a policy, each blob once", |usage| usage.bytes),
    ("regnode_usage_blobs", "Blobs in a namespace that sets a policy", |usage| usage.blobs),
    ("regnode_usage_manifests", "Manifests in a namespace that sets a policy", |usage| usage.manifests),
    ("regnode_usage_tags", "Tags in a namespace that sets a policy", |usage| usage.tags),
    ("regnode_usage_repositories", "Repositories in a namespace that sets a policy", |usage| usage.repositories),
];

const QUOTAS: [(&str, &str, QuotaResource); 4] = [
    ("regnode_usage_quota_bytes", "Most bytes that the namespace may have", QuotaResource::Bytes),
    ("regnode_usage_quota_manifests", "Most manifests that the namespace may have", QuotaResource::Manifests),
    ("regnode_usage_quota_tags", "Most tags that the namespace may have", QuotaResource::Tags),
    ("regnode_usage_quota_repositories", "Most repositories that the namespace may have", QuotaResource::Repositories),
];

impl Collector for DeletionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let view = View::new(self.catalog.state());
        // A catalog that cannot be read shows nothing; that it has stopped shows elsewhere.
        let Ok(rows) = rows(&view) else { return Ok(()) };
        for (name, help, read) in USED {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for row in &rows {
                gauge(read(&row.usage)).encode(family.encode_family(&[("namespace", row.label.as_str())])?)?;
            }
        }
        for (name, help, resource) in QUOTAS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for row in &rows {
                let Some(limit) = row.quota.limit(resource) else { continue };
                gauge(limit).encode(family.encode_family(&[("namespace", row.label.as_str())])?)?;
            }
        }
        garbage(&view, &mut encoder)
    }
}

fn rows(view: &View<Arc<dyn Engine>>) -> Result<Vec<Row>, StateError> {
    let row = |(prefix, copy): (String, raft::catalog::NamespaceCopy)| {
        let usage = view.usage(&prefix)?;
        let label = if prefix.is_empty() { ROOT.to_owned() } else { prefix };
        Ok(Row { label, quota: copy.policy.quota, usage })
    };
    view.policies(None, NAMESPACES_MAX)?.into_iter().map(row).collect()
}

fn garbage(view: &View<Arc<dyn Engine>>, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let (Ok(totals), Ok(now), Ok(next), Ok(jobs)) =
        (view.totals(), view.clock(), view.garbage_next(), view.job_totals())
    else {
        return Ok(());
    };
    let help = "Things in the garbage queue, due or not, by kind";
    let mut family = encoder.encode_descriptor("regnode_gc_queue_items", help, None, MetricType::Gauge)?;
    for (kind, count) in queued(&totals.garbage) {
        gauge(count).encode(family.encode_family(&[("kind", kind)])?)?;
    }
    let overdue = next.map_or(0, |next| now.0.saturating_sub(next.0) / 1000);
    for (name, help, value) in [
        ("regnode_gc_unreferenced_blobs", "Blobs that no manifest uses", totals.unreferenced_blobs),
        ("regnode_gc_unreferenced_bytes", "Bytes of blobs that no manifest uses", totals.unreferenced_bytes),
        ("regnode_gc_discarded_bytes", "Bytes of collected shards that wait to be unlinked", totals.discarded_bytes),
        ("regnode_gc_overdue_seconds", "For how long the oldest garbage has been due", overdue),
        ("regnode_job_running", "Deletion jobs that run", jobs.running),
    ] {
        gauge(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
    }
    Ok(())
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
