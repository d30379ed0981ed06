//! The catalog's copy of the namespaces' policies: how far it has come.

use serde::{Deserialize, Serialize};

use super::name::{Digest, RepositoryName};

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
    PolicyVersionRecord = 1, "policy version record";
    PolicyWalkRecord = 1, "policy walk record";
}
