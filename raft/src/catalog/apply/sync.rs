//! The catalog's copy of the policies: brought up to the directory's, and what a change of them brings about.

use super::context::Context;
use super::{malformed, retention, unheld};
use crate::catalog::command::Response;
use crate::catalog::limit::{POLICIES_PER_COMMAND, WALKED_PER_COMMAND};
use crate::catalog::policies::{NamespaceCopy, PolicyVersionRecord, PolicyWalkRecord};
use crate::catalog::table::{Manifests, Policies, PolicyVersion, PolicyWalks, UnheldManifests, rows_below};
use crate::machine::ApplyError;
use crate::policy::{Retention, is_prefix};
use crate::table::Table;

/// Takes over a page of changes. Whether the values make sense, the directory has said.
pub(super) fn sync(
    context: &mut Context<'_, '_>,
    version: u64,
    changes: Vec<(String, Option<NamespaceCopy>)>,
    complete: bool,
) -> Result<Response, ApplyError> {
    if changes.len() > POLICIES_PER_COMMAND {
        return Ok(malformed(format!("more than {POLICIES_PER_COMMAND} policies at once")));
    }
    if let Some((prefix, _)) = changes.iter().find(|(prefix, _)| !is_prefix(prefix)) {
        return Ok(malformed(format!("{prefix:?} is not a prefix")));
    }
    let present = PolicyVersion::get(context.state, ())?.unwrap_or_default();
    if version < present.begun || version <= present.complete {
        return Ok(Response::Stale);
    }
    for (prefix, copy) in changes {
        set(context, &prefix, copy.filter(|copy| !copy.is_empty()))?;
    }
    let complete = if complete { version } else { present.complete };
    PolicyVersion::put(context.state, (), &PolicyVersionRecord { complete, begun: version });
    Ok(Response::Done)
}

fn set(context: &mut Context<'_, '_>, prefix: &String, copy: Option<NamespaceCopy>) -> Result<(), ApplyError> {
    let before = Policies::get(context.state, prefix)?;
    if before == copy {
        return Ok(());
    }
    match &copy {
        Some(copy) => Policies::put(context.state, prefix, copy),
        None => Policies::delete(context.state, prefix),
    }
    let (before, after) = (before.unwrap_or_default().policy, copy.unwrap_or_default().policy);
    if before.untagged != after.untagged {
        PolicyWalks::put(context.state, prefix, &PolicyWalkRecord::default());
    }
    if before.retention != after.retention {
        let rules = |retention: &Retention| !retention.rules.is_empty();
        match after.retention.filter(rules) {
            Some(retention) => retention::set(context, prefix, retention.every_seconds)?,
            None => retention::unset(context, prefix)?,
        }
    }
    Ok(())
}

/// Looks again at up to `limit` unheld manifests below prefixes whose policy of untagged manifests has changed. The
/// count is zero exactly when nothing is left to look at.
pub(super) fn walk(context: &mut Context<'_, '_>, limit: u32) -> Result<Response, ApplyError> {
    let limit = limit.clamp(1, WALKED_PER_COMMAND) as usize;
    let mut count = 0;
    while count < limit {
        let Some((prefix, walk)) = PolicyWalks::scan::<()>(context.state, (), None, 1)?.into_iter().next() else {
            break;
        };
        let after = walk.cursor.as_ref().map(|(repository, digest)| (repository, digest));
        let page = limit - count;
        let rows = rows_below::<UnheldManifests>(context.state, &prefix, after, page)?;
        for ((repository, digest), record) in &rows {
            let manifest = Manifests::require(context.state, (repository, digest))?;
            unheld::schedule(context, repository, digest, &manifest, record)?;
        }
        count += rows.len();
        if rows.len() < page {
            PolicyWalks::delete(context.state, &prefix);
            count += 1;
        } else {
            let cursor = rows.into_iter().next_back().map(|(key, _)| key);
            PolicyWalks::put(context.state, &prefix, &PolicyWalkRecord { cursor });
        }
    }
    Ok(Response::Count { count: count as u64 })
}
