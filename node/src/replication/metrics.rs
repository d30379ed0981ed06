//! Metrics of copies, read at the moment of each scrape: on the node that makes them.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use raft::id::RegionId;

use super::Replication;
use super::report::ScopeReport;

/// Namespaces that are shown one by one. More would be too much for who reads them: the others are summed up.
const NAMESPACES_MAX: usize = 100;
/// The root namespace as a label, where an empty one is as good as none.
const ROOT: &str = "/";
/// Label of the namespaces that are summed up.
const OTHER: &str = "other";

/// Metrics of copies.
pub struct ReplicationMetrics {
    /// What is known of the copies.
    pub replication: Replication,
    /// Names of regions.
    pub(crate) regions: crate::regions::Regions,
}

impl fmt::Debug for ReplicationMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReplicationMetrics")
    }
}

/// What is shown of a namespace, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    /// The largest of several; that of one that was never complete is not known, and shows as none.
    lag_seconds: u64,
    in_sync: u64,
    debts: u64,
    failing: u64,
    bytes: u64,
    items: u64,
}

impl Row {
    fn of(report: &ScopeReport) -> Self {
        Self {
            lag_seconds: report.lag_seconds.unwrap_or(0),
            in_sync: u64::from(report.in_sync),
            debts: report.debts,
            failing: report.failing,
            bytes: report.arrived_bytes,
            items: report.arrived_items,
        }
    }

    /// Both together: in sync if both are, as late as the later one.
    fn with(self, other: Self) -> Self {
        Self {
            lag_seconds: self.lag_seconds.max(other.lag_seconds),
            in_sync: self.in_sync.min(other.in_sync),
            debts: self.debts.saturating_add(other.debts),
            failing: self.failing.saturating_add(other.failing),
            bytes: self.bytes.saturating_add(other.bytes),
            items: self.items.saturating_add(other.items),
        }
    }
}

/// What is shown, by source and namespace.
fn rows(reports: &[ScopeReport]) -> BTreeMap<(RegionId, String), Row> {
    let mut rows: BTreeMap<(RegionId, String), Row> = BTreeMap::new();
    for (position, report) in reports.iter().enumerate() {
        let label = match report.prefix.as_str() {
            _ if position >= NAMESPACES_MAX => OTHER,
            "" => ROOT,
            prefix => prefix,
        };
        let row = Row::of(report);
        let shown = rows.entry((report.source, label.to_owned()));
        shown.and_modify(|shown| *shown = shown.with(row)).or_insert(row);
    }
    rows
}

type Shown = (&'static str, &'static str, fn(&Row) -> u64);

const GAUGES: [Shown; 4] = [
    ("regnode_replication_lag_seconds", "Seconds by which the copy of a namespace is behind its source", |row| {
        row.lag_seconds
    }),
    (
        "regnode_replication_in_sync",
        "Whether the copy of a namespace is verified to have all that its source has",
        |row| row.in_sync,
    ),
    ("regnode_replication_debts", "Tags, manifests and deletions that are still to be copied", |row| row.debts),
    ("regnode_replication_failing", "Those of them that could not be copied at least once", |row| row.failing),
];

const COUNTERS: [Shown; 2] = [
    ("regnode_replication_bytes", "Bytes that came from the source of a copy", |row| row.bytes),
    ("regnode_replication_items", "Tags, manifests and deletions that were copied", |row| row.items),
];

impl Collector for ReplicationMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // A catalog that cannot be read shows nothing; that it has stopped shows elsewhere.
        let Ok(Some(report)) = self.replication.report() else { return Ok(()) };
        let rows = rows(&report.scopes);
        let name =
            |region: RegionId| self.regions.region(region).map_or_else(|| region.to_string(), |found| found.name);
        let labels =
            |(source, namespace): &(RegionId, String)| [("source", name(*source)), ("namespace", namespace.clone())];
        for (metric, help, read) in GAUGES {
            let mut family = encoder.encode_descriptor(metric, help, None, MetricType::Gauge)?;
            for (key, row) in &rows {
                let value = ConstGauge::new(i64::try_from(read(row)).unwrap_or(i64::MAX));
                value.encode(family.encode_family(&labels(key))?)?;
            }
        }
        for (metric, help, read) in COUNTERS {
            let mut family = encoder.encode_descriptor(metric, help, None, MetricType::Counter)?;
            for (key, row) in &rows {
                ConstCounter::new(read(row)).encode(family.encode_family(&labels(key))?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;

    use super::*;
    use crate::replication::report::Observed;

    fn report(prefix: &str, debts: u64, lag: u64) -> ScopeReport {
        let key = (RegionId(1), RegionId(2), prefix);
        let report = ScopeReport::new(key, None, Vec::new(), Observed::default(), Timestamp(0));
        ScopeReport { debts, lag_seconds: Some(lag), in_sync: lag == 0, ..report }
    }

    #[test]
    fn many_namespaces_are_summed_up() {
        let mut reports: Vec<ScopeReport> = (0..99).map(|number| report(&format!("n{number}"), 1, 0)).collect();
        reports.insert(0, report("", 2, 7));
        reports.extend([report("x", 3, 4), report("y", 5, 9), report("z", 0, 0)]);
        let rows = rows(&reports);
        assert_eq!(rows.len(), NAMESPACES_MAX + 1);
        assert_eq!(rows[&(RegionId(1), ROOT.to_owned())].debts, 2);
        let other = rows[&(RegionId(1), OTHER.to_owned())];
        assert_eq!((other.debts, other.lag_seconds, other.in_sync), (8, 9, 0));
    }
}
