//! What the local socket says of regions and takes for them, as JSON. Shared with the command line; fields are only ever
//! added.

use serde::{Deserialize, Serialize};

/// How sure it is what is said of the directory: regions, nodes, namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryReading {
    /// Whether the directory's quorum has confirmed it. Otherwise it is what this node knew last.
    pub confirmed: bool,
    /// Moment that it shows, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
    /// Seconds since then by this node's clock; 0 when it is confirmed.
    pub age_seconds: u64,
}

/// How a region is, as the node that answers knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionState {
    /// It takes requests.
    Serves,
    /// Nodes of it answer, but none takes requests: its catalog has no quorum.
    NoQuorum,
    /// None of its nodes answers.
    Silent,
    /// It has no node that has run.
    Empty,
}

impl RegionState {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::NoQuorum => "no quorum",
            Self::Silent => "does not answer",
            Self::Empty => "no node yet",
        }
    }
}

/// One region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionStatus {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whether the node that answers is in it.
    pub own: bool,
    /// Whether it keeps the directory's majority where there are two regions.
    pub primary: bool,
    /// URL at which clients reach it, if they may be sent there.
    pub public_url: Option<String>,
    /// Bytes that replication may bring into it in a second, from each other region; `None` for as much as there is.
    #[serde(default)]
    pub inbound_bytes_per_second: Option<u64>,
    /// Its nodes that have run.
    pub nodes: u64,
    /// Those of them that answer.
    pub live: u64,
    /// Those of them that vote in the directory.
    pub directory_voters: u64,
    /// How it is.
    pub state: RegionState,
}

/// All regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionsAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    pub directory: DirectoryReading,
    /// The regions, by id.
    pub regions: Vec<RegionStatus>,
    /// Moment of the takeover of the directory since which nothing is taken away from any region, milliseconds since the Unix
    /// epoch. `None` if there was none, or it was released.
    #[serde(default)]
    pub removals_held_milliseconds: Option<u64>,
}

/// What is foreign to a region is taken away from it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseAnswer {
    /// Version of this form.
    pub version: u32,
}

/// Names a region that is to be added, to be the primary or to be retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRequest {
    /// Its name.
    pub name: String,
}

/// What a field is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted<T> {
    /// This.
    Set(T),
    /// It is not set any more.
    Unset,
}

impl<T> Wanted<T> {
    /// The field's new value.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unset => None,
        }
    }
}

/// Changes what is said of a region. What is left out stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRegionRequest {
    /// Its name.
    pub name: String,
    /// URL at which clients reach it.
    #[serde(default)]
    pub public_url: Option<Wanted<String>>,
    /// Bytes that replication may bring into it in a second, from each other region.
    #[serde(default)]
    pub inbound_bytes_per_second: Option<Wanted<u64>>,
}

/// A region to which something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionAnswer {
    /// Version of this form.
    pub version: u32,
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
}
