//! What the local socket says and takes of a takeover of the directory, as JSON. Shared with the command line; fields are
//! only ever added.

use serde::{Deserialize, Serialize};

/// Looks at a takeover, or carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeoverRequest {
    /// Nodes of this region that do not answer and whose knowledge is given up.
    #[serde(default)]
    pub without: Vec<String>,
    /// Regions that are given up, as a look has named them: it is carried out. Without them it is only looked.
    #[serde(default)]
    pub give_up: Option<Vec<String>>,
}

/// What a takeover would do, or has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeoverAnswer {
    /// Version of this form.
    pub version: u32,
    /// Whether it was carried out.
    pub done: bool,
    /// The region that goes on.
    pub region: String,
    /// Regions whose votes are given up.
    pub lost: Vec<String>,
    /// The node whose replica of the directory goes on.
    pub founder: String,
    /// Moment that this replica shows, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
    /// Seconds since then.
    pub age_seconds: u64,
    /// Nodes of this region that do not answer and are passed over.
    pub passed_over: Vec<String>,
}
