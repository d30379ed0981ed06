//! What the audit log and its sinks do.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters by sink.
type CounterBySink = Family<[(&'static str, &'static str); 1], Counter>;
/// Gauges by sink.
type GaugeBySink = Family<[(&'static str, &'static str); 1], Gauge>;

/// Metrics of the audit log. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(super) records: Counter,
    pub(super) lost: Counter,
    pub(super) waits: Counter,
    pub(super) repeated: Counter,
    pub(super) failures: Counter,
    pub(super) stuck: Gauge,
    pub(super) sequence: Gauge,
    pub(super) bytes: Gauge,
    pub(super) removed: Counter,
    pub(super) sent: CounterBySink,
    pub(super) sink_failures: CounterBySink,
    pub(super) sink_skipped: CounterBySink,
    pub(super) sink_lag: GaugeBySink,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters = [
            ("regnode_audit_records", "Records written to the audit log", &metrics.records),
            (
                "regnode_audit_lost_records",
                "Events that are missing in the audit log, since it could not be written",
                &metrics.lost,
            ),
            (
                "regnode_audit_repeated_events",
                "Denials and failed logins that were counted in one record with others like them",
                &metrics.repeated,
            ),
            ("regnode_audit_waits", "Requests that waited for room in the queue of the audit log", &metrics.waits),
            ("regnode_audit_write_failures", "Failed attempts to write or sync the audit log", &metrics.failures),
            ("regnode_audit_removed_records", "Records removed by the log's own retention", &metrics.removed),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            ("regnode_audit_stuck", "1 while the audit log cannot be written", &metrics.stuck),
            ("regnode_audit_sequence", "Number of the newest record of the audit log", &metrics.sequence),
            ("regnode_audit_size_bytes", "Bytes of the audit log on disk", &metrics.bytes),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let by_sink = [
            ("regnode_audit_sink_sent_records", "Records handed to a sink, repetitions included", &metrics.sent),
            ("regnode_audit_sink_failures", "Failed attempts to reach a sink", &metrics.sink_failures),
            (
                "regnode_audit_sink_skipped_records",
                "Records that retention removed before a sink had taken them",
                &metrics.sink_skipped,
            ),
        ];
        for (name, help, counters) in by_sink {
            registry.register(name, help, counters.clone());
        }
        registry.register(
            "regnode_audit_sink_lag_records",
            "Records that a sink has not confirmed yet",
            metrics.sink_lag.clone(),
        );
        metrics
    }
}
