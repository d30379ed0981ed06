//! What the local socket says of users, robots and groups and takes for them, as JSON. Shared with the command line; fields
//! are only ever added.
//!
//! Passwords go in, and secrets come out once, as [`Hidden`]: no log and no `Debug` shows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::access_types::Confirmation;

/// A text that nobody gets to see by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// Names a user, a robot, a group, a role or an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRequest {
    /// Its name.
    pub name: String,
}

/// Something was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAnswer {
    /// Version of this form.
    pub version: u32,
    /// Name of what was changed.
    pub name: String,
}

/// A personal access key, or a robot's secret, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretEntry {
    /// Its id, hexadecimal.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
    /// When it expires; `None`: when it is taken away.
    pub expires_milliseconds: Option<u64>,
    /// When it was used last, to about an hour; `None` if never.
    pub last_used_milliseconds: Option<u64>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEntry {
    /// His name.
    pub name: String,
    /// His name for people.
    pub display: String,
    /// Where he logs in, if not here: `htpasswd`, `ldap` or an issuer's name.
    pub source: Option<String>,
    /// Whether he has a password here.
    pub has_password: bool,
    /// Groups that he belongs to.
    pub groups: Vec<String>,
    /// Whether he may not log in.
    pub disabled: bool,
    /// When he was added, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
    /// Tokens that he was given before do not count any more.
    pub sessions_from_milliseconds: u64,
    /// When he was last where he logs in elsewhere, to about a day.
    #[serde(default)]
    pub confirmed_milliseconds: Option<u64>,
    /// His personal access keys.
    pub keys: Vec<SecretEntry>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The user.
    pub user: UserEntry,
}

/// A page of the users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The users, by name.
    pub users: Vec<UserEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// Adds a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddUserRequest {
    /// His name.
    pub name: String,
    /// His name for people.
    #[serde(default)]
    pub display: String,
    /// His password here, if he has one.
    #[serde(default)]
    pub password: Option<Hidden>,
    /// Where he logs in, if not here.
    #[serde(default)]
    pub source: Option<String>,
    /// Groups that he belongs to.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Changes what is said of a user. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUserRequest {
    /// His name.
    pub name: String,
    /// His name for people.
    #[serde(default)]
    pub display: Option<String>,
    /// Another password. Whoever is logged in as he has to log in again.
    #[serde(default)]
    pub password: Option<Hidden>,
    /// Whether he may not log in.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// All groups that he belongs to.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
}

/// Rule on the claims of an issuer's tokens, by which they stand for a robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustEntry {
    /// The issuer's name, or `certificate`.
    pub issuer: String,
    /// Claims, and patterns that they must match, all of them.
    pub claims: Vec<(String, String)>,
}

/// A robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotEntry {
    /// Its name.
    pub name: String,
    /// The name by which it logs in.
    pub login: String,
    /// What it is for.
    pub description: String,
    /// Groups that it belongs to.
    pub groups: Vec<String>,
    /// Whether it may not log in.
    pub disabled: bool,
    /// When it was added, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
    /// When it ends; `None`: when it is removed.
    pub expires_milliseconds: Option<u64>,
    /// Tokens that it was given before do not count any more.
    pub sessions_from_milliseconds: u64,
    /// Its secrets.
    pub secrets: Vec<SecretEntry>,
    /// Whose tokens stand for it.
    pub trusts: Vec<TrustEntry>,
}

/// One robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The robot.
    pub robot: RobotEntry,
}

/// A page of the robots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotsAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The robots, by name.
    pub robots: Vec<RobotEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// Adds a robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRobotRequest {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Groups that it belongs to.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Seconds until it ends; `None`: when it is removed.
    #[serde(default)]
    pub lifetime_seconds: Option<u64>,
}

/// Changes what is said of a robot. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRobotRequest {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// All groups that it belongs to.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// Whether it may not log in.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// Lets a robot log in with tokens, or no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRequest {
    /// The robot's name.
    pub name: String,
    /// The issuer's name, or `certificate`.
    pub issuer: String,
    /// The claims that have to match, all of them; none: no token of the issuer stands for the robot any more.
    pub claims: Vec<(String, String)>,
}

/// Makes a personal access key, or a secret of a robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddSecretRequest {
    /// Whose: `user:NAME` or `robot:NAME`.
    pub subject: String,
    /// What it is for.
    #[serde(default)]
    pub name: String,
    /// Seconds until it expires; `None`: when it is taken away.
    #[serde(default)]
    pub lifetime_seconds: Option<u64>,
    /// Seconds after which the subject's other secrets end; `None`: they stay as they are.
    #[serde(default)]
    pub others_end_after_seconds: Option<u64>,
}

/// A key or secret that was made. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAnswer {
    /// Version of this form.
    pub version: u32,
    /// Whose it is.
    pub subject: String,
    /// The name to log in by.
    pub login: String,
    /// The secret.
    pub secret: Hidden,
    /// Its id, hexadecimal.
    pub id: String,
    /// When it expires, milliseconds since the Unix epoch; `None`: when it is taken away.
    pub expires_milliseconds: Option<u64>,
    /// Host, and port, to log in at.
    pub host: String,
}

/// Takes a key or a secret away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveSecretRequest {
    /// Whose: `user:NAME` or `robot:NAME`.
    pub subject: String,
    /// Its id, hexadecimal, or the beginning of it.
    pub id: String,
}

/// Lets nothing go on that somebody has logged in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRequest {
    /// Who: `user:NAME` or `robot:NAME`.
    pub subject: String,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was added, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
    /// Users that belong to it.
    pub users: u64,
    /// Robots that belong to it.
    pub robots: u64,
}

/// All groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The groups, by name.
    pub groups: Vec<GroupEntry>,
}

/// Adds a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddGroupRequest {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

/// Changes who belongs to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersRequest {
    /// Its name.
    pub name: String,
    /// Who belongs to it from now on: `user:NAME`, `robot:NAME`.
    #[serde(default)]
    pub add: Vec<String>,
    /// Who does not any more.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Who belongs to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who: `user:NAME`, `robot:NAME`.
    pub members: Vec<String>,
}
