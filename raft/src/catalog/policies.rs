//! The catalog's copy of what the directory says about namespaces, and how far it has come.

use serde::{Deserialize, Serialize};

use super::name::{Digest, RepositoryName};
use crate::policy::{NamespacePolicy, Role};

/// What the directory says at a prefix, as far as it matters to this region's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceCopy {
    /// What this region is for the namespace; what a shorter prefix says, if none. Set nowhere: its home.
    pub role: Option<Role>,
    /// What becomes of its content.
    pub policy: NamespacePolicy,
}

impl NamespaceCopy {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.role.is_none() && self.policy.is_empty()
    }
}

impl From<NamespacePolicy> for NamespaceCopy {
    /// A policy alone.
    fn from(policy: NamespacePolicy) -> Self {
        Self { role: None, policy }
    }
}

/// Which version of the directory's policies the catalog has. One record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersionRecord {
    /// Version that is here in whole; 0 before the first.
    pub complete: u64,
    /// Newest version of which changes have come. Those of older ones are refused from then on.
    pub begun: u64,
}

/// How far the unheld manifests below a prefix were looked at again. Key: prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyWalkRecord {
    /// The last one; `None` before the first.
    pub cursor: Option<(RepositoryName, Digest)>,
}

crate::versioned! {
    NamespaceCopy = 1, "namespace copy";
    PolicyVersionRecord = 1, "policy version record";
    PolicyWalkRecord = 1, "policy walk record";
}
