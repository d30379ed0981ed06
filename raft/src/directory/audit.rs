//! What an audit of residency has found, kept for those who have to account for it. Frozen by golden files.

use serde::{Deserialize, Serialize};

use super::limit::{AUDIT_EXAMPLE_BYTES_MAX, AUDIT_EXAMPLES_MAX};
use crate::id::RegionId;
use crate::time::Timestamp;

/// What an audit of a region's disks has found. Key: time and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidencyAudit {
    /// When it ended.
    pub time: Timestamp,
    /// Region whose disks were looked at.
    pub region: RegionId,
    /// Whether every node and disk of it answered.
    pub complete: bool,
    /// Nodes that answered.
    pub nodes: u32,
    /// Disks that were looked at.
    pub disks: u32,
    /// Objects that rest there.
    pub objects: u64,
    /// Bytes that they have there.
    pub bytes: u64,
    /// Those of namespaces that are pinned to it.
    pub pinned_objects: u64,
    /// Bytes that they have there.
    pub pinned_bytes: u64,
    /// Things that may not rest there.
    pub violations: u64,
    /// What the first of them are and where.
    pub examples: Vec<String>,
}

impl ResidencyAudit {
    /// The same within the bounds of a record: not later than `now`, and with so many examples of such a length.
    #[must_use]
    pub(super) fn bounded(mut self, now: Timestamp) -> Self {
        self.time = self.time.min(now);
        self.examples.truncate(AUDIT_EXAMPLES_MAX);
        for example in &mut self.examples {
            example.truncate(example.floor_char_boundary(AUDIT_EXAMPLE_BYTES_MAX));
        }
        self
    }
}

crate::versioned! {
    ResidencyAudit = 1, "residency audit";
}
