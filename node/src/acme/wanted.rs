//! Which domains are to have a certificate. Each has one of its own, so that a domain whose certificate is refused keeps
//! no other one from its.

use std::collections::BTreeSet;

use raft::directory::{StateError, View, is_certificate_domain};
use raft::machine::State;

use super::options::AcmeOptions;
use crate::config::AcmeChallenge;

/// The domains, in order: those of the settings, and those that operators have given to namespaces.
pub(super) fn wanted_domains<S: State>(options: &AcmeOptions, view: &View<S>) -> Result<BTreeSet<String>, StateError> {
    let mut wanted: BTreeSet<String> = options.domains.iter().cloned().collect();
    wanted.extend(view.domains()?.into_iter().map(|(domain, _)| domain));
    // Only the DNS shows that a whole zone is ours (RFC 8555 §7.1.3).
    wanted.retain(|domain| options.challenge == AcmeChallenge::Dns01 || !domain.starts_with('*'));
    // An authority knows nothing of names inside a house.
    wanted.retain(|domain| is_certificate_domain(domain));
    Ok(wanted)
}
