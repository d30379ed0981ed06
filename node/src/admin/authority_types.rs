//! What is said of the cluster's certificate authority, as JSON. Fields are only ever added.

use serde::{Deserialize, Serialize};

use super::access_types::Confirmation;

/// How far a change of the authority is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityPhase {
    /// There is no change: one authority signs and is trusted.
    Stable,
    /// The nodes learn to trust a new one. It can be taken back.
    Introduced,
    /// The new one signs, the nodes get certificates of it, the old one is still trusted.
    Signing,
}

/// What an authority is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityRole {
    /// It signs.
    Signs,
    /// It is to sign next.
    Next,
    /// It has signed before, and is trusted until the change is over.
    Former,
}

/// A certificate authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityEntry {
    /// SHA-256 of its certificate (DER), hexadecimal; join tokens carry it.
    pub fingerprint: String,
    /// What it is for.
    pub role: AuthorityRole,
    /// When its certificate ends, milliseconds since the Unix epoch.
    pub not_after_milliseconds: Option<u64>,
}

/// What a node has said of its own trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAuthority {
    /// Its id.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub live: bool,
    /// Fingerprints of the authorities that it trusts; `former` for one that is none any more.
    pub trusts: Vec<String>,
    /// Fingerprint of the authority that has signed its certificate. `None` while it has not said.
    pub shows: Option<String>,
    /// Why the change waits for it, if it does.
    pub awaited: Option<String>,
}

/// The cluster's certificate authority, and how far a change of it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure this is.
    pub reading: Confirmation,
    /// How far a change is.
    pub phase: AuthorityPhase,
    /// When the change began, milliseconds since the Unix epoch.
    pub begun_milliseconds: Option<u64>,
    /// When this phase began.
    pub since_milliseconds: Option<u64>,
    /// The one that signs, then the other one, while there is a change.
    pub authorities: Vec<AuthorityEntry>,
    /// Nodes by id, removed ones left out.
    pub nodes: Vec<NodeAuthority>,
}
