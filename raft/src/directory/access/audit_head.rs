//! The newest record of a node's audit log that the cluster was told of, so that a log whose end was cut off is found.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Where a node's audit log was. Key: the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Number of the record.
    pub sequence: u64,
    /// BLAKE3 of it, which holds that of the record before, and so on.
    pub hash: [u8; 32],
    /// When it was written.
    pub time: Timestamp,
}

crate::versioned! {
    AuditHead = 1, "audit head";
}
