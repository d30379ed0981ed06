//! What the local socket says of roles and rules and takes for them, as JSON. Shared with the command line; fields are only
//! ever added.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How sure it is what is said of users, rules and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Whether the directory's quorum has confirmed it. Otherwise it is what the node knew last.
    pub confirmed: bool,
    /// Moment that it shows, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleEntry {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it allows.
    pub actions: Vec<String>,
    /// Whether it is there from the start, and cannot be changed.
    pub built_in: bool,
}

/// All roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolesAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The roles: those that are built in, then the others by name.
    pub roles: Vec<RoleEntry>,
}

/// Makes a role, or changes what it allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRoleRequest {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What it allows.
    pub actions: Vec<String>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedEffect {
    /// It allows what this role allows.
    Allow(String),
    /// It denies these actions.
    Deny(Vec<String>),
}

/// When, and for whom, a rule holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionEntry {
    /// Networks of clients; none: any.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// From this moment on, milliseconds since the Unix epoch.
    #[serde(default)]
    pub not_before_milliseconds: Option<u64>,
    /// Until this moment.
    #[serde(default)]
    pub not_after_milliseconds: Option<u64>,
    /// Between these minutes of the day, in UTC.
    #[serde(default)]
    pub daily_minutes: Option<(u16, u16)>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEntry {
    /// Its number.
    pub id: u64,
    /// Whom it is about.
    pub subject: String,
    /// What it does.
    pub effect: NamedEffect,
    /// Prefix of the repositories that it covers; empty for the root.
    pub namespace: String,
    /// When it holds.
    pub condition: ConditionEntry,
    /// Why it is there.
    pub note: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
    /// Who made it.
    pub created_by: String,
}

/// Asks for a page of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRequest {
    /// Where to go on, as an answer has said.
    #[serde(default)]
    pub after: Option<u64>,
    /// Only those of this subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Only those that cover this namespace.
    #[serde(default)]
    pub covering: Option<String>,
}

/// A page of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The rules, by number.
    pub rules: Vec<RuleEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

/// Makes a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRuleRequest {
    /// Whom it is about.
    pub subject: String,
    /// What it does.
    pub effect: NamedEffect,
    /// Prefix of the repositories that it covers; empty for the root.
    pub namespace: String,
    /// When it holds.
    #[serde(default)]
    pub condition: ConditionEntry,
    /// Why it is there.
    #[serde(default)]
    pub note: String,
}

/// Takes a rule away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRequest {
    /// Its number.
    pub id: u64,
}

/// A rule that was made or taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAnswer {
    /// Version of this form.
    pub version: u32,
    /// The rule.
    pub rule: RuleEntry,
}

/// Asks whether somebody may do something, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainAccessRequest {
    /// Who: `user:NAME`, `robot:NAME` or `anonymous`.
    pub subject: String,
    /// What.
    pub action: String,
    /// Where.
    pub repository: String,
    /// From which address.
    pub address: IpAddr,
    /// When, milliseconds since the Unix epoch; now if it is left out.
    #[serde(default)]
    pub at_milliseconds: Option<u64>,
}
