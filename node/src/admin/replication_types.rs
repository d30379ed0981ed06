//! What the local socket says about copies of namespaces in other regions, as JSON. Regions are called by their names.

use serde::{Deserialize, Serialize};

/// Asks how far the copies have come, in every region that has some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRequest {
    /// The namespace that is meant, empty for the root: its copies, and those of what is below it. All, if it is left out.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// How far the copies have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationAnswer {
    /// Version of this form.
    pub version: u32,
    /// Regions, the one that answers first.
    pub regions: Vec<RegionCopies>,
}

/// How far the copies in one region have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionCopies {
    /// The region.
    pub region: String,
    /// Why it is not known; `None` if it is.
    pub error: Option<String>,
    /// The copies, by the region that they come from and the namespace.
    pub copies: Vec<CopyStatus>,
}

/// How a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// The home was asked, and everything that it had then is here, verified. In a status that was some seconds ago at most.
    InSync,
    /// It follows the home's changes, and some are still to come.
    Behind,
    /// It is compared with the home as a whole: the first time, after a change of what is copied, or since more has
    /// happened meanwhile than the home keeps in mind.
    Comparing,
    /// Nothing is known of what the home has now: it does not answer, or has not yet.
    Waiting,
}

impl CopyState {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::Behind => "behind",
            Self::Comparing => "being compared",
            Self::Waiting => "waiting",
        }
    }
}

/// The copy of one namespace, without what is below it and has a copy or a place of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyStatus {
    /// The namespace's prefix, empty for the root.
    pub namespace: String,
    /// Its home.
    pub from: String,
    /// How it is.
    pub state: CopyState,
    /// Whether everything is copied, whatever the namespace says, since it is moving here.
    pub moving: bool,
    /// Home's time up to which everything is here, verified; milliseconds since the Unix epoch. `None` while it never was.
    pub synced_milliseconds: Option<u64>,
    /// Seconds since then; 0 while it is in sync. `None` while it never was complete.
    pub lag_seconds: Option<u64>,
    /// Changes at home that were not looked at yet. `None` while the home does not answer.
    pub events_behind: Option<u64>,
    /// Tags and manifests that are known and not here yet, or not gone yet.
    pub items_waiting: u64,
    /// Those of them whose copying has failed, and is tried again.
    pub items_failing: u64,
    /// Some of those.
    pub failures: Vec<CopyFailure>,
    /// Why nothing goes on, if so.
    pub waits_for: Option<String>,
    /// Tags and manifests that have arrived since the copy was begun.
    pub items_arrived: u64,
    /// Bytes that have arrived since then.
    pub bytes_arrived: u64,
    /// Bytes that arrive in a second of late.
    pub bytes_per_second: u64,
}

/// Something that could not be copied so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyFailure {
    /// What: a tag or a manifest with its repository.
    pub what: String,
    /// Why.
    pub error: String,
    /// How often it was tried.
    pub failures: u32,
}
