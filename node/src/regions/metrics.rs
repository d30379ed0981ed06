//! Metrics of requests that other regions answer: for clients, and for what is copied here.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Outcome = [(&'static str, String); 2];

/// For whom another region is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    /// For a client.
    Forwarded,
    /// For the copy that this region has.
    Fetched,
}

/// Counters of requests of one kind.
#[derive(Clone, Debug, Default)]
struct Counted {
    requests: Family<Outcome, Counter>,
    bytes: Family<Outcome, Counter>,
    under_way: Gauge,
}

/// Counters of requests that other regions answer.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    forwarded: Counted,
    fetched: Counted,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_regions_forwarded_requests",
            "Requests of clients that were handed on to another region, by region and outcome: answered, aborted (the \
             answer broke off), gone (the client went away), lost (no answer came), unreachable, busy",
            metrics.forwarded.requests.clone(),
        );
        registry.register(
            "regnode_node_regions_forwarded_bytes",
            "Bytes of bodies that were passed on, by region and direction: sent to it, received from it",
            metrics.forwarded.bytes.clone(),
        );
        registry.register(
            "regnode_node_regions_forwarded_in_flight",
            "Requests that another region is answering",
            metrics.forwarded.under_way.clone(),
        );
        registry.register(
            "regnode_node_regions_fetched_requests",
            "Requests for content that is copied from another region, by region and outcome: answered, aborted (the \
             answer broke off), gone (it was given up here), lost (no answer came), unreachable, busy",
            metrics.fetched.requests.clone(),
        );
        registry.register(
            "regnode_node_regions_fetched_bytes",
            "Bytes of content that came from another region to be copied, by region and direction: received from it",
            metrics.fetched.bytes.clone(),
        );
        registry.register(
            "regnode_node_regions_fetched_in_flight",
            "Requests for content to be copied that another region is answering",
            metrics.fetched.under_way.clone(),
        );
        metrics
    }

    fn counted(&self, traffic: Traffic) -> &Counted {
        match traffic {
            Traffic::Forwarded => &self.forwarded,
            Traffic::Fetched => &self.fetched,
        }
    }

    pub(super) fn request(&self, traffic: Traffic, region: &str, outcome: &'static str) {
        let labels = [("region", region.to_owned()), ("outcome", outcome.to_owned())];
        self.counted(traffic).requests.get_or_create(&labels).inc();
    }

    /// Bytes in one direction: `sent` or `received`.
    pub(super) fn bytes(&self, traffic: Traffic, region: &str, direction: &'static str) -> Counter {
        let labels = [("region", region.to_owned()), ("direction", direction.to_owned())];
        self.counted(traffic).bytes.get_or_create(&labels).clone()
    }

    /// Requests that have not ended.
    pub(super) fn under_way(&self, traffic: Traffic) -> &Gauge {
        &self.counted(traffic).under_way
    }
}
