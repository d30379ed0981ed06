//! What becomes of the certificates. Domains are no labels: there may be thousands.

use std::collections::BTreeSet;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use raft::directory::CertificateRecord;

/// Metrics of certificates. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    issued: Counter,
    failures: Counter,
    answers: Counter,
    barriers: Counter,
    certificates: Gauge,
    missing: Gauge,
    failing: Gauge,
    soonest: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("regnode_acme_issued", "Certificates that this node got from the authority", &metrics.issued),
            (
                "regnode_acme_failures",
                "Attempts of this node to get a certificate that came to nothing",
                &metrics.failures,
            ),
            ("regnode_acme_challenge_answers", "Challenges that this node has answered", &metrics.answers),
            (
                "regnode_acme_challenge_barriers",
                "Questions to the directory's leader for challenges that this node did not know",
                &metrics.barriers,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("regnode_acme_certificates", "Domains that have a certificate of the authority", &metrics.certificates),
            ("regnode_acme_missing_certificates", "Domains that are to have one and have none yet", &metrics.missing),
            ("regnode_acme_failing_domains", "Domains whose last attempt came to nothing", &metrics.failing),
            (
                "regnode_acme_soonest_not_after_seconds",
                "When the first of the certificates ends, in seconds since 1970; 0 without any",
                &metrics.soonest,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        metrics
    }

    pub(super) fn issued(&self) {
        self.issued.inc();
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn answered(&self) {
        self.answers.inc();
    }

    pub(super) fn asked(&self) {
        self.barriers.inc();
    }

    /// Shows what the directory says.
    pub(super) fn show(&self, records: &[(String, CertificateRecord)], wanted: &BTreeSet<String>) {
        let ends = || records.iter().filter_map(|(_, record)| Some(record.issued.as_ref()?.not_after.0 / 1000));
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let has = |domain: &String| records.iter().any(|(other, record)| other == domain && record.issued.is_some());
        self.certificates.set(number(ends().count()));
        self.missing.set(number(wanted.iter().filter(|domain| !has(domain)).count()));
        self.failing.set(number(records.iter().filter(|(_, record)| record.failure.is_some()).count()));
        self.soonest.set(i64::try_from(ends().min().unwrap_or(0)).unwrap_or(i64::MAX));
    }
}
