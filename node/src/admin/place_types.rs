//! What the local socket says and takes about where namespaces rest, as JSON. Regions are called by their names.

use std::collections::BTreeMap;

use raft::directory::Replication;
use raft::policy::Pattern;
use serde::{Deserialize, Serialize};

use crate::deletion::Held;

/// Where data of a namespace may rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedResidency {
    /// In its home region; it can be read from elsewhere.
    Home,
    /// Only in its home region.
    Pinned,
    /// In its home region, with copies in these.
    Replicated(Vec<String>),
}

/// What becomes of a request in a region where the namespace does not rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedElsewhere {
    /// It is passed on to the home region, and the answer back.
    Proxy,
    /// Reads are sent to the home region's public URL, everything else is passed on.
    Redirect,
    /// It is refused.
    Refuse,
}

/// What is set about where a namespace rests; in a request, what is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPlace {
    /// Its home region.
    pub home: Option<String>,
    /// Where its data may rest.
    pub residency: Option<NamedResidency>,
    /// What becomes of requests elsewhere.
    pub elsewhere: Option<NamedElsewhere>,
    /// How it is copied.
    #[serde(default)]
    pub replication: ReplicationFields,
    /// The move that was begun. Said, never asked for.
    #[serde(default)]
    pub moving: Option<NamedMoving>,
    /// Regions that were its home and were left without an answer. Said, never asked for.
    #[serde(default)]
    pub aside: Vec<NamedAside>,
}

/// How a namespace is copied: what is set of it; in a request, what is to be set. A field that is left out keeps the value
/// that holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationFields {
    /// Tags that are copied, with all that they need; none named: everything, manifests without a tag too.
    pub tags: Option<Vec<Pattern>>,
    /// Whether what is deleted at home goes from the copies too.
    pub deletes: Option<bool>,
    /// Which namespaces are copied first where several wait, 0 to 9: the higher the sooner.
    pub priority: Option<u8>,
}

impl ReplicationFields {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Replication> for ReplicationFields {
    fn from(set: Replication) -> Self {
        Self { tags: Some(set.tags), deletes: Some(set.deletes), priority: Some(set.priority) }
    }
}

/// A home that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedMoving {
    /// Region that is to become the home. Until then it has a copy.
    pub to: String,
    /// Whether nobody writes any more, so that the rest can be copied.
    pub fenced: bool,
}

/// A region that was the home until another one was made the home without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAside {
    /// The region. What it held stays there, out of use, until somebody has looked at it.
    pub region: String,
    /// When that was, milliseconds since the Unix epoch.
    pub since_milliseconds: u64,
}

impl OwnPlace {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a namespace rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceAnswer {
    /// Its home region, whose catalog owns it.
    pub home: String,
    /// Where its data may rest.
    pub residency: NamedResidency,
    /// What becomes of requests elsewhere.
    pub elsewhere: NamedElsewhere,
    /// How it is copied.
    pub replication: Replication,
    /// Regions that have a copy, the one that it moves to among them.
    pub copies: Vec<String>,
    /// The move that was begun.
    pub moving: Option<NamedMoving>,
    /// Regions that were its home and were left without an answer.
    pub aside: Vec<NamedAside>,
    /// Namespace that decides each field, by the field's name.
    pub sources: BTreeMap<String, String>,
    /// Region of the node that was asked.
    pub region: String,
    /// What that region is for the namespace: `home`, `replica`, `aside` (it was the home, and what it held stays until it is
    /// settled) or `foreign`. Nobody writes at a home that is fenced.
    pub role: String,
    /// How many regions there are.
    pub regions: u64,
}

/// Asks a node of another region what its catalog holds below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRequest {
    /// The prefix, empty for the root.
    pub prefix: String,
    /// Version of the policies that the catalog is to take up before it looks.
    pub policy_version: u64,
    /// Prefixes below it that do not count.
    pub except: Vec<String>,
}

/// What a region holds below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAnswer {
    /// Version of this form.
    pub version: u32,
    /// What it holds.
    #[serde(flatten)]
    pub held: Held,
}
