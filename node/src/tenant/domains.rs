//! All domains at one moment, by name.

use std::collections::BTreeMap;

use raft::directory::DomainRecord;

use super::Tenant;

/// The domains, and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    /// `None`: the whole registry.
    by_name: BTreeMap<String, Option<Tenant>>,
}

impl Domains {
    /// Those of the directory.
    pub(crate) fn new(records: impl IntoIterator<Item = (String, DomainRecord)>) -> Self {
        let tenants = records.into_iter().map(|(domain, record)| {
            let tenant = Tenant::new(&domain, &record.namespace);
            (domain, tenant)
        });
        Self { by_name: tenants.collect() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What a name stands for, if it is a domain: a tenant, or the whole registry.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Option<&Tenant>> {
        self.by_name.get(name).map(Option::as_ref)
    }

    /// The names of all, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// The name in a `host[:port]`, without the dot of the root (RFC 9110 §4.2.3). Of an address in brackets nothing that is a
/// domain.
pub(super) fn name_of(host: &str) -> &str {
    host.split(':').next().unwrap_or_default().trim_end_matches('.')
}
