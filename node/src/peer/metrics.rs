//! Metrics of the traffic between peers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type Call = [(&'static str, &'static str); 2];
type Direction = [(&'static str, &'static str); 1];

/// Counters of peer traffic.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<Call, Counter>,
    served: Family<Call, Counter>,
    bytes: Family<Direction, Counter>,
    connects: Counter,
    connect_failures: Counter,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_peer_requests",
            "Calls of this node to its peers, by call and outcome",
            metrics.requests.clone(),
        );
        registry.register(
            "regnode_node_peer_served_requests",
            "Calls of peers to this node, by call and outcome",
            metrics.served.clone(),
        );
        registry.register(
            "regnode_node_peer_payload_bytes",
            "Bytes of consensus messages, snapshots and shard blocks exchanged with peers, by direction",
            metrics.bytes.clone(),
        );
        registry.register(
            "regnode_node_peer_connects",
            "Connections to peers that were opened",
            metrics.connects.clone(),
        );
        registry.register(
            "regnode_node_peer_connect_failures",
            "Connections to peers that could not be opened",
            metrics.connect_failures.clone(),
        );
        metrics
    }

    pub(super) fn request(&self, call: &'static str, outcome: &'static str) {
        self.requests.get_or_create(&[("call", call), ("outcome", outcome)]).inc();
    }

    pub(super) fn served(&self, call: &'static str, outcome: &'static str) {
        self.served.get_or_create(&[("call", call), ("outcome", outcome)]).inc();
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes.get_or_create(&[("direction", "sent")]).inc_by(bytes as u64);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes.get_or_create(&[("direction", "received")]).inc_by(bytes as u64);
    }

    pub(super) fn connected(&self, successfully: bool) {
        if successfully {
            self.connects.inc()
        } else {
            self.connect_failures.inc()
        };
    }
}
