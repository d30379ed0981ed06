//! The metrics registry, and the few metrics that belong to the process as a whole.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use raft::time::Timestamp;

/// Media type of the text that [`Metrics::encode`] writes.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of one node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a room register its metrics.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Panics
    /// Never: a string takes any text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes any text");
        text
    }
}

/// What is known of the process as a whole.
#[derive(Clone, Debug)]
pub struct ProcessMetrics {
    /// Whether the node takes requests.
    pub ready: Gauge,
}

impl ProcessMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry, started: Timestamp) -> Self {
        registry.register(
            "regnode_build",
            "Version of the program",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch fit for hundreds of years")]
        let since: Gauge<f64, AtomicU64> = {
            let gauge = Gauge::default();
            gauge.set(started.0 as f64 / 1000.0);
            gauge
        };
        registry.register("regnode_start_time_seconds", "When this node was started, since the Unix epoch", since);
        let ready = Gauge::default();
        registry.register("regnode_ready", "1 while the node is ready to take requests", ready.clone());
        Self { ready }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_with_their_help() {
        let metrics = Metrics::new();
        let process = metrics.register(|registry| ProcessMetrics::register(registry, Timestamp(1500)));
        process.ready.set(1);
        let text = metrics.encode();
        assert!(text.contains("# HELP regnode_ready 1 while the node is ready to take requests."));
        assert!(text.contains("regnode_ready 1\n"));
        assert!(text.contains("regnode_start_time_seconds 1.5\n"));
        assert!(text.contains("regnode_build_info{version="));
        assert!(text.ends_with("# EOF\n"));
    }
}
