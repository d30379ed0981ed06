//! Groups of people and machines. Who is in one stands in the records of its members.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A group. Key: its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// What it is for, in the operator's words.
    pub description: String,
    /// When it was added.
    pub created: Timestamp,
}

crate::versioned! {
    GroupRecord = 1, "group record";
}
