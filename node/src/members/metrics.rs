//! Metrics of membership.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Gauges and counters of membership.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(super) known: Gauge,
    pub(super) live: Gauge,
    pub(super) deaths: Counter,
    missed: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("regnode_node_members_known", "Nodes of the own region", metrics.known.clone());
        registry.register(
            "regnode_node_members_live",
            "Nodes of the own region that answer, this one included",
            metrics.live.clone(),
        );
        registry.register("regnode_node_members_deaths", "Peers that ceased to answer", metrics.deaths.clone());
        registry.register(
            "regnode_node_heartbeats_missed",
            "Heartbeats that were not answered, by reason",
            metrics.missed.clone(),
        );
        metrics
    }

    pub(super) fn missed(&self, reason: &'static str) {
        self.missed.get_or_create(&[("reason", reason)]).inc();
    }
}
