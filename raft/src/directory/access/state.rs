//! What the directory counts of access: changes, ids of bindings, rows.

use serde::{Deserialize, Serialize};

use super::binding::BindingId;
use crate::time::Timestamp;

/// How often the rules have changed, and how much there is of what can become much, so that no command has to count it.
/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessStateRecord {
    /// Grows with each change of what decides who may do what.
    pub version: u64,
    /// Next binding id to give out.
    pub next_binding: BindingId,
    /// Users.
    pub users: u64,
    /// Robots.
    pub robots: u64,
    /// Groups.
    pub groups: u64,
    /// Bindings.
    pub bindings: u64,
    /// Latest moment from which any account's sessions were said to begin. No other one begins with the same.
    pub sessions: Timestamp,
}

impl Default for AccessStateRecord {
    fn default() -> Self {
        Self {
            version: 0,
            next_binding: BindingId(1),
            users: 0,
            robots: 0,
            groups: 0,
            bindings: 0,
            sessions: Timestamp(0),
        }
    }
}

crate::versioned! {
    AccessStateRecord = 2, "access state record";
}
