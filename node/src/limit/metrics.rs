//! Metrics of what was refused for having asked too much.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of refusals.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    refused: Family<[(&'static str, &'static str); 2], Counter>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_limit_refused_requests",
            "Requests that were refused with 429, by limit (requests, uploads) and by whose it was (identity, address)",
            metrics.refused.clone(),
        );
        metrics
    }

    pub(super) fn refused(&self, limit: &'static str, whose: &'static str) {
        self.refused.get_or_create(&[("limit", limit), ("of", whose)]).inc();
    }

    /// How many requests were refused by a limit.
    #[cfg(test)]
    pub(super) fn count(&self, limit: &'static str, whose: &'static str) -> u64 {
        self.refused.get_or_create(&[("limit", limit), ("of", whose)]).get()
    }
}
