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
}

/// Names a region that is to be added, to be the primary or to be retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRequest {
    /// Its name.
    pub name: String,
}

/// Changes what is said of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRegionRequest {
    /// Its name.
    pub name: String,
    /// URL at which clients reach it; `None` for at none.
    pub public_url: Option<String>,
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
