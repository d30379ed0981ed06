//! What the policy of a namespace says about a command, in log order: every replica decides alike.

use super::context::Context;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::response::Response;
use crate::catalog::table::{HomesSince, Policies};
use crate::machine::{ApplyError, State};
use crate::policy::{NamespacePolicy, OPERATOR, Policy, REPLICATION, Role, Sources, prefixes};
use crate::table::Table;
use crate::time::Timestamp;

/// What is set at each prefix of a repository, the root first; prefixes that set nothing are left out.
pub(in crate::catalog) fn layers(
    state: &impl State,
    repository: &RepositoryName,
) -> Result<Vec<(String, NamespacePolicy)>, ApplyError> {
    let mut layers = Vec::new();
    for prefix in prefixes(repository) {
        let prefix = prefix.to_owned();
        if let Some(copy) = Policies::get(state, &prefix)?.filter(|copy| !copy.policy.is_empty()) {
            layers.push((prefix, copy.policy));
        }
    }
    Ok(layers)
}

/// What this region is for what is below a prefix, and the prefix that says so: the longest one that says
/// something.
pub(in crate::catalog) fn role(state: &impl State, prefix: &str) -> Result<(Role, String), ApplyError> {
    let mut prefix = prefix.to_owned();
    loop {
        let role = Policies::get(state, &prefix)?.and_then(|copy| copy.role);
        if let Some(role) = role {
            return Ok((role, prefix));
        }
        if prefix.is_empty() {
            return Ok((Role::default(), prefix));
        }
        prefix.truncate(prefix.rfind('/').unwrap_or(0));
    }
}

/// What this region is for a repository.
pub(in crate::catalog) fn role_of(state: &impl State, repository: &RepositoryName) -> Result<Role, ApplyError> {
    Ok(role(state, repository.as_str())?.0)
}

/// When this region became the home of a repository, the latest time; `None` if it always was.
pub(in crate::catalog) fn home_since(
    state: &impl State,
    repository: &RepositoryName,
) -> Result<Option<Timestamp>, ApplyError> {
    let mut since = None;
    for prefix in prefixes(repository) {
        since = since.max(HomesSince::get(state, &prefix.to_owned())?);
    }
    Ok(since)
}

/// Whether manifests that nothing holds stay here whatever the policy says: of a copy the home decides what goes, and what
/// an old home holds must be found again.
pub(in crate::catalog) fn keeps_unheld(state: &impl State, repository: &RepositoryName) -> Result<bool, ApplyError> {
    Ok(matches!(role_of(state, repository)?, Role::Replica | Role::Fenced))
}

/// Whether what this principal does was judged in another region already: quotas, immutable tags and switched-off
/// deletions are the home's to hold against a client, and what the home has a copy takes.
pub(super) fn is_judged(principal: Option<&str>) -> bool {
    principal == Some(REPLICATION)
}

/// Why this principal writes nothing below a prefix in this region; `None` if he does. Looked at in log order, so that a
/// home that changes has one last write.
pub(super) fn refuse_write(
    context: &Context<'_, '_>,
    prefix: &str,
    principal: Option<&str>,
) -> Result<Option<Response>, ApplyError> {
    let (role, namespace) = role(context.state, prefix)?;
    Ok((!role.admits(principal)).then_some(Response::Foreign { namespace }))
}

/// What holds for a repository, and which prefix decided it.
pub(in crate::catalog) fn resolved(
    state: &impl State,
    repository: &RepositoryName,
) -> Result<(Policy, Sources), ApplyError> {
    let layers = layers(state, repository)?;
    Ok(Policy::resolve(layers.iter().map(|(prefix, policy)| (prefix.as_str(), policy))))
}

/// What holds for a repository.
pub(super) fn of(context: &Context<'_, '_>, repository: &RepositoryName) -> Result<Policy, ApplyError> {
    Ok(resolved(context.state, repository)?.0)
}

/// What holds where nothing but the root says anything: for what belongs to no repository.
pub(super) fn root(context: &Context<'_, '_>) -> Result<Policy, ApplyError> {
    let root = Policies::get(context.state, &String::new())?;
    Ok(Policy::resolve(root.iter().map(|copy| ("", &copy.policy))).0)
}

/// Why this principal deletes nothing in a repository: he does not write there, or nobody may delete; `None` if he does.
pub(super) fn refuse_delete(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    principal: Option<&str>,
) -> Result<Option<Response>, ApplyError> {
    let foreign = refuse_write(context, repository.as_str(), principal)?;
    if foreign.is_some() || principal == Some(OPERATOR) || is_judged(principal) {
        return Ok(foreign);
    }
    let (policy, sources) = resolved(context.state, repository)?;
    Ok((!policy.deletes).then(|| Response::DeletesOff { namespace: sources.deletes.unwrap_or_default() }))
}

/// Why this principal may neither move nor delete a tag that exists and points to `digest`; `None` if he may.
pub(super) fn refuse_change(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
    principal: Option<&str>,
) -> Result<Option<Response>, ApplyError> {
    if is_judged(principal) {
        return Ok(None);
    }
    let (policy, sources) = resolved(context.state, repository)?;
    Ok(policy.immutable(tag.as_str(), principal).map(|pattern| Response::Immutable {
        tag: tag.clone(),
        digest: *digest,
        namespace: sources.immutable.unwrap_or_default(),
        pattern: pattern.as_str().to_owned(),
    }))
}
