//! Metrics of connections that were not taken.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of connections and requests that were let go at the door.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    refused: Family<[(&'static str, &'static str); 2], Counter>,
}

/// Why one was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its address is not on the list.
    Address,
    /// Too many connections from there.
    Crowd,
    /// A trusted proxy did not begin with the PROXY protocol.
    Proxy,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_serve_refused_connections",
            "Connections, and requests through trusted proxies, that were let go, by listener and reason: address (not \
             on the list), crowd (too many from one address), proxy (a PROXY header was missing or wrong)",
            metrics.refused.clone(),
        );
        metrics
    }

    pub(super) fn refused(&self, listener: &'static str, reason: Reason) {
        let reason = match reason {
            Reason::Address => "address",
            Reason::Crowd => "crowd",
            Reason::Proxy => "proxy",
        };
        self.refused.get_or_create(&[("listener", listener), ("reason", reason)]).inc();
    }

    /// How many were let go.
    #[cfg(test)]
    pub(super) fn count(&self, listener: &'static str, reason: &'static str) -> u64 {
        self.refused.get_or_create(&[("listener", listener), ("reason", reason)]).get()
    }
}
