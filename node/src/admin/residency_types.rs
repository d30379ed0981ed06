//! What operators and auditors ask about residency.

use serde::{Deserialize, Serialize};

use crate::residency::{Alarm, Progress, Report};

/// Asks to look where everything rests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// Only what is below this prefix; all without it. Only a look at all is written down as an audit.
    pub namespace: Option<String>,
}

/// How far a verification is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyAnswer {
    /// Version of this interface.
    pub version: u32,
    /// How far it is.
    pub progress: Progress,
    /// What came of it; none before its end.
    pub report: Option<Report>,
}

/// Asks for what audits have found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditsRequest {
    /// Most audits.
    pub limit: u32,
}

/// What audits have found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditsAnswer {
    /// Version of this interface.
    pub version: u32,
    /// The audits, the newest first.
    pub audits: Vec<NamedAudit>,
    /// Regions in which something rests that may not, as far as their last audits tell.
    pub alarms: Vec<Alarm>,
    /// Hours between two audits of a region that nobody asks for, as this node is set up; 0 without any.
    pub audit_hours: u32,
}

/// An audit of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAudit {
    /// When it ended, milliseconds since the Unix epoch.
    pub time_milliseconds: u64,
    /// Name of the region; its id if it was retired.
    pub region: String,
    /// Whether everything could be looked at.
    pub complete: bool,
    /// Nodes that answered.
    pub nodes: u32,
    /// Disks that were looked through.
    pub disks: u32,
    /// Shard files and manifests there.
    pub objects: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Those of pinned namespaces.
    pub pinned_objects: u64,
    /// Bytes of their files.
    pub pinned_bytes: u64,
    /// Things that may not be there.
    pub violations: u64,
    /// The first of them.
    pub examples: Vec<String>,
}
