//! Metrics of requests that are answered by other regions.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Outcome = [(&'static str, String); 2];

/// Counters of forwarded requests.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<Outcome, Counter>,
    bytes: Family<Outcome, Counter>,
    pub(super) under_way: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_regions_forwarded_requests",
            "Requests of clients that were handed on to another region, by region and outcome: answered, aborted (the \
             answer broke off), gone (the client went away), lost (no answer came), unreachable, busy",
            metrics.requests.clone(),
        );
        registry.register(
            "regnode_node_regions_forwarded_bytes",
            "Bytes of bodies that were passed on, by region and direction: sent to it, received from it",
            metrics.bytes.clone(),
        );
        registry.register(
            "regnode_node_regions_forwarded_in_flight",
            "Requests that another region is answering",
            metrics.under_way.clone(),
        );
        metrics
    }

    pub(super) fn request(&self, region: &str, outcome: &'static str) {
        self.requests.get_or_create(&[("region", region.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    /// Bytes in one direction: `sent` or `received`.
    pub(super) fn bytes(&self, region: &str, direction: &'static str) -> Counter {
        self.bytes.get_or_create(&[("region", region.to_owned()), ("direction", direction.to_owned())]).clone()
    }
}
