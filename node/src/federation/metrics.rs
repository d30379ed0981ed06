//! Metrics of issuers outside. None of them is named.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Metrics of issuers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    key_fetches: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Fetches of the keys that issuers of tokens sign with, by outcome";
        registry.register("regnode_node_federation_key_fetches", help, metrics.key_fetches.clone());
        metrics
    }

    /// Keys were fetched, or could not be.
    pub(super) fn fetched(&self, is_done: bool) {
        let outcome = if is_done { "done" } else { "failed" };
        self.key_fetches.get_or_create(&[("outcome", outcome)]).inc();
    }
}
