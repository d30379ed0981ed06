//! What the local socket says and takes about where namespaces rest, as JSON. Regions are called by their names.

use std::collections::BTreeMap;

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
    /// Region that is to become its home: nobody writes until then. Said, never asked for.
    pub moving: Option<String>,
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
    /// Region that is to become its home.
    pub moving: Option<String>,
    /// Namespace that decides each field, by the field's name.
    pub sources: BTreeMap<String, String>,
    /// Region of the node that was asked.
    pub region: String,
    /// What that region is for the namespace: `home`, `replica` or `foreign`. Nobody writes at a home that changes.
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
