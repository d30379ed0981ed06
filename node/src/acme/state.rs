//! What there is to say of the certificates in the cluster's status: which domains need an operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::directory::{CertificateRecord, StateError, View};
use raft::time::Timestamp;
use storage::kv::Engine;

use super::AcmeOptions;
use super::plan::alarming;
use super::wanted::wanted_domains;

/// A domain that needs an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateTrouble {
    /// The domain.
    pub(crate) domain: String,
    /// Seconds until its certificate ends, 0 when it has ended; `None` without one.
    pub(crate) left_seconds: Option<u64>,
    /// Why the last attempt came to nothing; `None` when there was none yet.
    pub(crate) reason: Option<String>,
}

/// Domains that are to have a certificate, in order.
pub(crate) fn wanted(options: &AcmeOptions, view: &View<Arc<dyn Engine>>) -> Result<Vec<String>, StateError> {
    Ok(wanted_domains(options, view)?.into_iter().collect())
}

/// The domains that need an operator: without a certificate, or with one that ends soon and could not be renewed.
pub(crate) fn troubles(
    options: &AcmeOptions,
    view: &View<Arc<dyn Engine>>,
    now: Timestamp,
) -> Result<Vec<CertificateTrouble>, StateError> {
    let records: BTreeMap<String, CertificateRecord> = view.certificates()?.into_iter().collect();
    let wanted = wanted_domains(options, view)?.into_iter();
    Ok(wanted.filter_map(|domain| trouble(domain.clone(), records.get(&domain), options, now)).collect())
}

fn trouble(
    domain: String,
    record: Option<&CertificateRecord>,
    options: &AcmeOptions,
    now: Timestamp,
) -> Option<CertificateTrouble> {
    let reason = record.and_then(|record| record.failure.as_ref()).map(|failure| failure.reason.clone());
    let Some(issued) = record.and_then(|record| record.issued.as_ref()) else {
        return Some(CertificateTrouble { domain, left_seconds: None, reason });
    };
    let alarming = alarming(issued, options.renew_before_seconds) <= now;
    let left_seconds = Some(issued.not_after.0.saturating_sub(now.0) / 1000);
    (alarming && (reason.is_some() || left_seconds == Some(0))).then_some(CertificateTrouble {
        domain,
        left_seconds,
        reason,
    })
}
