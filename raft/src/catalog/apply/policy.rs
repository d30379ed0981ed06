//! What the policy of a namespace says about a command, in log order: every replica decides alike.

use super::context::Context;
use crate::catalog::command::Response;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::table::Policies;
use crate::machine::{ApplyError, State};
use crate::policy::{NamespacePolicy, OPERATOR, Policy, Sources, prefixes};
use crate::table::Table;

/// What is set at each prefix of a repository, the root first; prefixes that set nothing are left out.
pub(in crate::catalog) fn layers(
    state: &impl State,
    repository: &RepositoryName,
) -> Result<Vec<(String, NamespacePolicy)>, ApplyError> {
    let mut layers = Vec::new();
    for prefix in prefixes(repository) {
        let prefix = prefix.to_owned();
        if let Some(policy) = Policies::get(state, &prefix)? {
            layers.push((prefix, policy));
        }
    }
    Ok(layers)
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
    Ok(Policy::resolve(root.iter().map(|policy| ("", policy))).0)
}

/// Why this principal may delete nothing in a repository; `None` if he may.
pub(super) fn refuse_delete(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    principal: Option<&str>,
) -> Result<Option<Response>, ApplyError> {
    if principal == Some(OPERATOR) {
        return Ok(None);
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
    let (policy, sources) = resolved(context.state, repository)?;
    Ok(policy.immutable(tag.as_str(), principal).map(|pattern| Response::Immutable {
        tag: tag.clone(),
        digest: *digest,
        namespace: sources.immutable.unwrap_or_default(),
        pattern: pattern.as_str().to_owned(),
    }))
}
