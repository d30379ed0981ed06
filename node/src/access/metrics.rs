//! Metrics of what was decided, and by how much.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use raft::directory::Action;

use super::decide::Decision;
use super::rights::Rights;

/// Metrics of access.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    decisions: Family<[(&'static str, &'static str); 2], Counter>,
    rules: Gauge,
    version: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let decisions = metrics.decisions.clone();
        registry.register(
            "regnode_node_access_decisions",
            "What clients may do was decided, by action and outcome",
            decisions,
        );
        registry.register(
            "regnode_node_access_rules",
            "Rules of who may do what that this node knows",
            metrics.rules.clone(),
        );
        let help = "Version of the access rules that this node knows: less than on other nodes while it is behind";
        registry.register("regnode_node_access_version", help, metrics.version.clone());
        metrics
    }

    /// Counts a decision.
    pub(super) fn decided(&self, action: Action, decision: &Decision) {
        let outcome = match decision {
            Decision { allowed: true, .. } => "allowed",
            Decision { beyond_token: true, .. } => "beyond-token",
            _ => "denied",
        };
        self.decisions.get_or_create(&[("action", action.name()), ("outcome", outcome)]).inc();
    }

    /// Shows what was read.
    pub(super) fn read(&self, rights: &Rights) {
        self.rules.set(i64::try_from(rights.rules.len()).unwrap_or(i64::MAX));
        self.version.set(i64::try_from(rights.version()).unwrap_or(i64::MAX));
    }
}
