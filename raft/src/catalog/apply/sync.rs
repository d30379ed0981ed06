//! The catalog's copy of the policies: brought up to the directory's, and what a change of them brings about.

use std::collections::BTreeSet;

use super::context::Context;
use super::{malformed, policy, replication, retention, unheld};
use crate::catalog::limit::{POLICIES_PER_COMMAND, WALKED_PER_COMMAND};
use crate::catalog::policies::{NamespaceCopy, PolicyVersionRecord, PolicyWalkRecord};
use crate::catalog::response::Response;
use crate::catalog::table::{HomesSince, Manifests, Policies, PolicyVersion, PolicyWalks, UnheldManifests, rows_below};
use crate::machine::ApplyError;
use crate::policy::{Retention, Role, is_prefix};
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
    let mut moved = BTreeSet::new();
    for (prefix, copy) in changes {
        let is_covered = copy.as_ref().is_none_or(|copy| copy.role.is_none());
        if set(context, &prefix, copy.filter(|copy| !copy.is_empty()))? {
            // What says nothing itself belongs to the shorter prefixes again, whatever has become of it meanwhile.
            if is_covered {
                moved.extend(prefix.match_indices('/').map(|(end, _)| prefix[..end].to_owned()));
                moved.insert(String::new());
            }
            moved.insert(prefix);
        }
    }
    replication::begin_anew(context, &moved)?;
    let complete = if complete { version } else { present.complete };
    PolicyVersion::put(context.state, (), &PolicyVersionRecord { complete, begun: version });
    Ok(Response::Done)
}

/// Sets what is said at a prefix. Whether something else is said of this region's role.
fn set(context: &mut Context<'_, '_>, prefix: &String, copy: Option<NamespaceCopy>) -> Result<bool, ApplyError> {
    let before = Policies::get(context.state, prefix)?;
    if before == copy {
        return Ok(false);
    }
    let (role, _) = policy::role(context.state, prefix)?;
    match &copy {
        Some(copy) => Policies::put(context.state, prefix, copy),
        None => Policies::delete(context.state, prefix),
    }
    let (before, after) = (before.unwrap_or_default(), copy.unwrap_or_default());
    let moved = before.role != after.role;
    if moved {
        came_home(context, prefix, role)?;
        replication::leave_over(context, prefix, role)?;
    }
    let (before, after) = (before.policy, after.policy);
    if moved || before.untagged != after.untagged {
        PolicyWalks::put(context.state, prefix, &PolicyWalkRecord::default());
    }
    if before.retention != after.retention {
        let rules = |retention: &Retention| !retention.rules.is_empty();
        match after.retention.filter(rules) {
            Some(retention) => retention::set(context, prefix, retention.every_seconds)?,
            None => retention::unset(context, prefix)?,
        }
    }
    Ok(moved)
}

/// Remembers when this region became the home of what is below a prefix, for as long as it is.
fn came_home(context: &mut Context<'_, '_>, prefix: &String, before: Role) -> Result<(), ApplyError> {
    let (after, _) = policy::role(context.state, prefix)?;
    if after != Role::Home {
        HomesSince::delete(context.state, prefix);
    } else if before != Role::Home {
        HomesSince::put(context.state, prefix, &context.now);
    }
    Ok(())
}

/// Looks again at up to `limit` unheld manifests below prefixes whose policy of untagged manifests, or this region's role, has changed. The
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
