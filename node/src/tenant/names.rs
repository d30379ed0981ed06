//! The names of one tenant: full ones, as the cluster has them, and its own, without the namespace.

use std::sync::Arc;

/// The tenant that a request came to. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    domain: Arc<str>,
    /// Never empty.
    namespace: Arc<str>,
}

impl Tenant {
    /// The one that a domain stands for; `None` for the whole registry.
    #[must_use]
    pub fn new(domain: &str, namespace: &str) -> Option<Self> {
        (!namespace.is_empty()).then(|| Self { domain: domain.into(), namespace: namespace.into() })
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The full form of one of its names; of the empty one, the namespace itself. Whatever the name holds, what comes out
    /// is no valid name or one at the namespace or below.
    #[must_use]
    pub fn full(&self, own: &str) -> String {
        if own.is_empty() { self.namespace.to_string() } else { format!("{}/{own}", self.namespace) }
    }

    /// A full name as the tenant says it; `None` for what is not below the namespace, itself included.
    #[must_use]
    pub fn own<'a>(&self, full: &'a str) -> Option<&'a str> {
        full.strip_prefix(&*self.namespace)?.strip_prefix('/').filter(|own| !own.is_empty())
    }

    /// A namespace as the tenant says it. The own one and those above it are the root to it.
    #[must_use]
    pub fn own_namespace<'a>(&self, full: &'a str) -> &'a str {
        self.own(full).unwrap_or("")
    }

    /// Whether a repository is the tenant's.
    #[must_use]
    pub fn has(&self, full: &str) -> bool {
        self.own(full).is_some()
    }
}
