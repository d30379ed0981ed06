//! What the last audits of residency say.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use raft::directory::ResidencyAudit;

/// Gauges by region.
type ByRegion = Family<[(&'static str, String); 1], Gauge>;

/// Metrics of residency. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    violations: ByRegion,
    complete: ByRegion,
    time: ByRegion,
    pinned_bytes: ByRegion,
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let gauges: [(&str, &str, &ByRegion); 4] = [
            (
                "regnode_residency_violations",
                "Things that rest in a region where they may not, as its last audit found",
                &metrics.violations,
            ),
            (
                "regnode_residency_audit_complete",
                "Whether the last audit of a region could look at everything",
                &metrics.complete,
            ),
            (
                "regnode_residency_audit_time_seconds",
                "When the last audit of a region ended, seconds since the Unix epoch",
                &metrics.time,
            ),
            (
                "regnode_residency_pinned_bytes",
                "Bytes of shard files of pinned namespaces in a region, as its last audit found",
                &metrics.pinned_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        metrics
    }

    /// Shows the last audit of each region. One without an audit has no violations.
    pub(super) fn show<'a>(&self, regions: impl Iterator<Item = (&'a str, Option<&'a ResidencyAudit>)>) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut present = BTreeSet::new();
        for (region, audit) in regions {
            present.insert(region.to_owned());
            let label = [("region", region.to_owned())];
            self.violations.get_or_create(&label).set(audit.map_or(0, |audit| number(audit.violations)));
            let Some(audit) = audit else { continue };
            self.complete.get_or_create(&label).set(i64::from(audit.complete));
            self.time.get_or_create(&label).set(number(audit.time.0 / 1000));
            self.pinned_bytes.get_or_create(&label).set(number(audit.pinned_bytes));
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&present) {
            let label = [("region", gone.clone())];
            for family in [&self.violations, &self.complete, &self.time, &self.pinned_bytes] {
                family.remove(&label);
            }
        }
        *shown = present;
    }
}
