//! What the local socket says and takes about the audit log of a node, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::audit::{AuditState, Checked, Cursor, Fault, Filter};

/// Asks for records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditSearchRequest {
    /// Which ones.
    pub filter: Filter,
    /// From which place on; from the oldest that can be meant if it is left out.
    pub from: Option<Cursor>,
    /// Only among so many of the newest ones. Not together with a place.
    pub newest: Option<u64>,
    /// Most records in the answer, at most a thousand.
    pub limit: u32,
}

/// Records of the node that answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// Version of this form.
    pub version: u32,
    /// The node.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// The records as they stand in its log, the oldest first.
    pub records: Vec<Box<RawValue>>,
    /// Where the next page begins. A page may be empty although more follows.
    pub next: Cursor,
    /// Whether this was everything there is at present.
    pub ended: bool,
}

/// Asks for a step of a check of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditVerifyRequest {
    /// What the step before has answered; nothing at first.
    pub checked: Option<Checked>,
}

/// A step of a check of the log of the node that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerifyAnswer {
    /// Version of this form.
    pub version: u32,
    /// The node.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// How far the check is.
    pub checked: Checked,
    /// What this step has found.
    pub faults: Vec<Fault>,
    /// Whether everything was looked at.
    pub ended: bool,
    /// How the log is.
    pub state: AuditState,
}
