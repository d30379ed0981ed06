//! What the node is asked about users, robots, groups, roles, rules, issuers and token keys.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::access::Explanation;
use node::admin::{
    AddGroupRequest, AddRobotRequest, AddRuleRequest, AddSecretRequest, AddUserRequest, ChangedAnswer,
    ExplainAccessRequest, GroupsAnswer, IssuerEntry, IssuersAnswer, MembersAnswer, MembersRequest, NameRequest,
    PageRequest, RemoveSecretRequest, RobotAnswer, RobotsAnswer, RolesAnswer, RotateTokenKeyRequest, RuleAnswer,
    RuleRequest, RulesAnswer, RulesRequest, SecretAnswer, SetRobotRequest, SetRoleRequest, SetUserRequest,
    SubjectRequest, TokenKeysAnswer, TrustRequest, UserAnswer, UsersAnswer,
};

use super::call;

/// A page of the users.
pub(crate) async fn users(data_dir: &Path, request: &PageRequest) -> Result<UsersAnswer> {
    call(data_dir, Method::POST, "/users", request).await
}

/// One user.
pub(crate) async fn user(data_dir: &Path, request: &NameRequest) -> Result<UserAnswer> {
    call(data_dir, Method::POST, "/user/show", request).await
}

/// Adds a user.
pub(crate) async fn add_user(data_dir: &Path, request: &AddUserRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/user/add", request).await
}

/// Changes what is said of a user.
pub(crate) async fn set_user(data_dir: &Path, request: &SetUserRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/user/set", request).await
}

/// Removes a user.
pub(crate) async fn remove_user(data_dir: &Path, request: &NameRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/user/remove", request).await
}

/// A page of the robots.
pub(crate) async fn robots(data_dir: &Path, request: &PageRequest) -> Result<RobotsAnswer> {
    call(data_dir, Method::POST, "/robots", request).await
}

/// One robot.
pub(crate) async fn robot(data_dir: &Path, request: &NameRequest) -> Result<RobotAnswer> {
    call(data_dir, Method::POST, "/robot/show", request).await
}

/// Adds a robot.
pub(crate) async fn add_robot(data_dir: &Path, request: &AddRobotRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/robot/add", request).await
}

/// Changes what is said of a robot.
pub(crate) async fn set_robot(data_dir: &Path, request: &SetRobotRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/robot/set", request).await
}

/// Lets a robot log in with tokens, or no more.
pub(crate) async fn trust(data_dir: &Path, request: &TrustRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/robot/trust", request).await
}

/// Removes a robot.
pub(crate) async fn remove_robot(data_dir: &Path, request: &NameRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/robot/remove", request).await
}

/// Makes a personal access key, or a robot's secret.
pub(crate) async fn add_secret(data_dir: &Path, request: &AddSecretRequest) -> Result<SecretAnswer> {
    call(data_dir, Method::POST, "/secret/add", request).await
}

/// Takes one away.
pub(crate) async fn remove_secret(data_dir: &Path, request: &RemoveSecretRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/secret/remove", request).await
}

/// Ends the sessions of a user or a robot.
pub(crate) async fn end_sessions(data_dir: &Path, request: &SubjectRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/sessions/end", request).await
}

/// All groups.
pub(crate) async fn groups(data_dir: &Path) -> Result<GroupsAnswer> {
    call(data_dir, Method::GET, "/groups", &()).await
}

/// Adds a group.
pub(crate) async fn add_group(data_dir: &Path, request: &AddGroupRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/group/add", request).await
}

/// Removes a group.
pub(crate) async fn remove_group(data_dir: &Path, request: &NameRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/group/remove", request).await
}

/// Who belongs to a group.
pub(crate) async fn members(data_dir: &Path, request: &NameRequest) -> Result<MembersAnswer> {
    call(data_dir, Method::POST, "/group/show", request).await
}

/// Changes who belongs to a group.
pub(crate) async fn set_members(data_dir: &Path, request: &MembersRequest) -> Result<MembersAnswer> {
    call(data_dir, Method::POST, "/group/member", request).await
}

/// All roles.
pub(crate) async fn roles(data_dir: &Path) -> Result<RolesAnswer> {
    call(data_dir, Method::GET, "/roles", &()).await
}

/// Makes a role, or changes what it allows.
pub(crate) async fn set_role(data_dir: &Path, request: &SetRoleRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/role/set", request).await
}

/// Removes a role.
pub(crate) async fn remove_role(data_dir: &Path, request: &NameRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/role/remove", request).await
}

/// A page of the rules.
pub(crate) async fn rules(data_dir: &Path, request: &RulesRequest) -> Result<RulesAnswer> {
    call(data_dir, Method::POST, "/rules", request).await
}

/// Makes a rule.
pub(crate) async fn add_rule(data_dir: &Path, request: &AddRuleRequest) -> Result<RuleAnswer> {
    call(data_dir, Method::POST, "/rule/add", request).await
}

/// Takes a rule away.
pub(crate) async fn remove_rule(data_dir: &Path, request: &RuleRequest) -> Result<RuleAnswer> {
    call(data_dir, Method::POST, "/rule/remove", request).await
}

/// Whether somebody may do something, and why.
pub(crate) async fn explain_access(data_dir: &Path, request: &ExplainAccessRequest) -> Result<Explanation> {
    call(data_dir, Method::POST, "/access/explain", request).await
}

/// All issuers.
pub(crate) async fn issuers(data_dir: &Path) -> Result<IssuersAnswer> {
    call(data_dir, Method::GET, "/issuers", &()).await
}

/// Sets an issuer.
pub(crate) async fn set_issuer(data_dir: &Path, request: &IssuerEntry) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/issuer/set", request).await
}

/// Removes an issuer.
pub(crate) async fn remove_issuer(data_dir: &Path, request: &NameRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/issuer/remove", request).await
}

/// The keys for tokens.
pub(crate) async fn token_keys(data_dir: &Path) -> Result<TokenKeysAnswer> {
    call(data_dir, Method::GET, "/token-keys", &()).await
}

/// Makes a new key for tokens.
pub(crate) async fn rotate_token_key(data_dir: &Path, request: &RotateTokenKeyRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/token-key/rotate", request).await
}
