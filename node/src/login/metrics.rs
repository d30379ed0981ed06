//! Metrics of logins. Nobody's name is in them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::LoginError;

type Counters<const LABELS: usize> = Family<[(&'static str, &'static str); LABELS], Counter>;

/// Metrics of logins. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    attempts: Counters<2>,
    lockouts: Counters<1>,
    issued: Counters<1>,
    verified: Counters<1>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "regnode_node_login_attempts",
            "Credentials that were shown, but for bearer tokens, by kind and outcome",
            metrics.attempts.clone(),
        );
        registry.register(
            "regnode_node_login_lockouts",
            "Failed logins that made a name or an address wait",
            metrics.lockouts.clone(),
        );
        registry.register(
            "regnode_node_login_tokens_issued",
            "Tokens that this node has signed, by kind",
            metrics.issued.clone(),
        );
        registry.register(
            "regnode_node_login_tokens_verified",
            "Tokens of the cluster whose signature was verified, or known from a moment ago",
            metrics.verified.clone(),
        );
        metrics
    }

    /// Somebody has shown a credential of this kind, and this came of it.
    pub(super) fn tried<T>(&self, kind: &'static str, outcome: Result<&T, &LoginError>) {
        let outcome = match outcome {
            Ok(_) => "done",
            Err(LoginError::Wrong | LoginError::Malformed(_) | LoginError::Untrusted(_)) => "refused",
            Err(LoginError::Locked { .. }) => "locked",
            Err(LoginError::Unavailable(_)) => "unavailable",
        };
        self.attempts.get_or_create(&[("kind", kind), ("outcome", outcome)]).inc();
    }

    /// A failure made a `name` or an `address` wait.
    pub(super) fn locked(&self, by: &'static str) {
        self.lockouts.get_or_create(&[("by", by)]).inc();
    }

    /// A token was signed.
    pub(super) fn issued(&self, kind: &'static str) {
        self.issued.get_or_create(&[("kind", kind)]).inc();
    }

    /// A token's signature was verified, or known.
    pub(super) fn verified(&self, how: &'static str) {
        self.verified.get_or_create(&[("how", how)]).inc();
    }

    /// How often something was counted, for tests.
    #[cfg(test)]
    pub(super) fn told(&self) -> String {
        let mut registry = Registry::default();
        registry.register("attempts", "-", self.attempts.clone());
        registry.register("lockouts", "-", self.lockouts.clone());
        registry.register("issued", "-", self.issued.clone());
        registry.register("verified", "-", self.verified.clone());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}
