//! What the local socket says of domains and takes for them, as JSON. Shared with the command line; fields are only ever
//! added.

use serde::{Deserialize, Serialize};

use super::access_types::Confirmation;

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainEntry {
    /// The domain.
    pub domain: String,
    /// The namespace that it stands for; empty for the whole registry.
    pub namespace: String,
    /// When it was added, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
}

/// All domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainsAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The domains, by name.
    pub domains: Vec<DomainEntry>,
}

/// Lets a domain stand for a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddDomainRequest {
    /// The domain.
    pub domain: String,
    /// The namespace; empty for the whole registry.
    pub namespace: String,
    /// Whether it is done though a node does not answer, which takes the domain for a name of the whole registry until it
    /// hears of it.
    #[serde(default)]
    pub force: bool,
}

/// A domain that something is done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRequest {
    /// The domain.
    pub domain: String,
}

/// A domain was added or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainAnswer {
    /// Version of this form.
    pub version: u32,
    /// The domain.
    pub domain: String,
    /// The namespace that it stands for, or stood for; empty for the whole registry.
    pub namespace: String,
    /// Names of the nodes that did not answer.
    #[serde(default)]
    pub silent: Vec<String>,
}
