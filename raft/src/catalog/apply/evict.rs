//! Eviction: what a repository holds is taken away where this region is foreign to it.
//!
//! Page by page, so that no command does the work of a whole repository, and in an order in which each part leaves a
//! consistent rest: sessions, tags with their histories, manifests that refer to others, the other manifests, links,
//! tombstones. Nothing of it waits for a grace: no client was promised anything that is not kept at the home.

use super::context::{Context, subtract};
use super::unheld::Parting;
use super::{deletion, garbage, history, link, policy, replication, repository, tag, tombstone, upload};
use crate::catalog::garbage::GarbageItem;
use crate::catalog::limit::{EVICTED_PER_COMMAND, ROWS_COLLECTED_PER_COMMAND};
use crate::catalog::name::{Digest, RepositoryName, SessionId, Tag};
use crate::catalog::policies::PolicyVersionRecord;
use crate::catalog::record::TagRecord;
use crate::catalog::response::Response;
use crate::catalog::table::{
    Blobs, Links, ManifestTags, Manifests, PolicyVersion, Referrers, RepositoryUploads, TagHistory, Tags, Tombstones,
    Uploads,
};
use crate::machine::ApplyError;
use crate::policy::Role;
use crate::table::Table;
use crate::time::Timestamp;

/// How much was taken away, and how much may be.
#[derive(Clone, Copy, Debug)]
struct Budget {
    items: u64,
    bytes: u64,
    rows: usize,
    limit: u64,
}

impl Budget {
    /// Things that may still go by their number.
    fn page(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(self.items)).unwrap_or(usize::MAX)
    }

    /// Whether one thing more may go.
    fn is_left(&self) -> bool {
        self.items < self.limit && self.rows < ROWS_COLLECTED_PER_COMMAND
    }

    /// One thing went, with so many rows beyond a constant number.
    fn spend(&mut self, rows: usize) {
        self.items += 1;
        self.rows += rows + 1;
    }
}

/// Takes away up to `limit` things of a repository, and fewer when they hold many rows; at least one.
pub(super) fn evict(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    limit: u32,
    policy_version: u64,
) -> Result<Response, ApplyError> {
    if !may_go(context, repository, policy_version)? {
        return Ok(Response::Stale);
    }
    let limit = limit.clamp(1, EVICTED_PER_COMMAND).into();
    let mut budget = Budget { items: 0, bytes: 0, rows: 0, limit };
    uploads(context, repository, &mut budget)?;
    tags(context, repository, &mut budget)?;
    histories(context, repository, &mut budget)?;
    referrers(context, repository, &mut budget)?;
    manifests(context, repository, &mut budget)?;
    links(context, repository, &mut budget)?;
    tombstones(context, repository, &mut budget)?;
    let Budget { items, bytes, .. } = budget;
    Ok(Response::Evicted { items, bytes, more: holds(context, repository)? })
}

/// Whether this region is foreign to a repository by a version of the policies that is here in whole, and nothing is known
/// of how far it was copied.
fn may_go(context: &Context<'_, '_>, repository: &RepositoryName, policy_version: u64) -> Result<bool, ApplyError> {
    let here = PolicyVersion::get(context.state, ())?.unwrap_or_default();
    let current = here == PolicyVersionRecord { complete: policy_version, begun: policy_version };
    Ok(current
        && policy::role_of(context.state, repository)? == Role::Foreign
        && !replication::is_copied(context, repository)?)
}

/// Whether anything is left of a repository.
fn holds(context: &Context<'_, '_>, repository: &RepositoryName) -> Result<bool, ApplyError> {
    let state = &*context.state;
    Ok(!RepositoryUploads::scan::<RepositoryName>(state, repository, None, 1)?.is_empty()
        || !TagHistory::scan::<RepositoryName>(state, repository, None, 1)?.is_empty()
        || !Manifests::scan::<RepositoryName>(state, repository, None, 1)?.is_empty()
        || !Links::scan::<RepositoryName>(state, repository, None, 1)?.is_empty()
        || !Tombstones::scan::<RepositoryName>(state, repository, None, 1)?.is_empty())
}

/// Ends the sessions, finished ones too: they name the repository until they expire.
fn uploads(context: &mut Context<'_, '_>, repository: &RepositoryName, budget: &mut Budget) -> Result<(), ApplyError> {
    let rows = RepositoryUploads::scan::<RepositoryName>(context.state, repository, None, budget.page())?;
    let sessions: Vec<SessionId> = rows.into_iter().map(|((_, session), ())| session).collect();
    for session in sessions {
        if !budget.is_left() {
            break;
        }
        let record = Uploads::require(context.state, &session)?;
        let extents = upload::end(context, session, &record)?;
        budget.spend(extents);
    }
    Ok(())
}

/// Removes tags with their histories.
fn tags(context: &mut Context<'_, '_>, repository: &RepositoryName, budget: &mut Budget) -> Result<(), ApplyError> {
    let rows = Tags::scan::<RepositoryName>(context.state, repository, None, budget.page())?;
    for ((_, tag), record) in rows {
        if !budget.is_left() {
            break;
        }
        let changes = take_tag(context, repository, &tag, &record)?;
        budget.spend(changes);
    }
    Ok(())
}

/// Removes a tag and its history. Returns the number of changes in it.
fn take_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    record: &TagRecord,
) -> Result<usize, ApplyError> {
    Tags::delete(context.state, (repository, tag));
    ManifestTags::delete(context.state, (repository, &record.digest, tag));
    subtract(&mut context.totals.tags, 1, "tags in total")?;
    tag::lose(context, repository, &record.digest, Parting::default())?;
    repository::change(context, repository, |counts| subtract(&mut counts.tags, 1, "tags of a repository"))?;
    history::forget(context, repository, tag)
}

/// Removes the histories of tags that were deleted before.
fn histories(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    budget: &mut Budget,
) -> Result<(), ApplyError> {
    while budget.is_left() {
        let first = TagHistory::scan::<RepositoryName>(context.state, repository, None, 1)?;
        let Some(((_, tag, _), _)) = first.into_iter().next() else { break };
        if Tags::contains(context.state, (repository, &tag))? {
            break;
        }
        let changes = history::forget(context, repository, &tag)?;
        garbage::dequeue(context, &GarbageItem::TagHistory { repository: repository.clone(), tag })?;
        budget.spend(changes);
    }
    Ok(())
}

/// Removes manifests that refer to others, before what they refer to: that one may have any number of them.
fn referrers(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    budget: &mut Budget,
) -> Result<(), ApplyError> {
    let rows = Referrers::scan::<RepositoryName>(context.state, repository, None, budget.page())?;
    for ((_, _, digest), _) in rows {
        take_manifest(context, repository, &digest, budget)?;
    }
    Ok(())
}

fn manifests(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    budget: &mut Budget,
) -> Result<(), ApplyError> {
    let rows = Manifests::scan::<RepositoryName>(context.state, repository, None, budget.page())?;
    for ((_, digest), _) in rows {
        take_manifest(context, repository, &digest, budget)?;
    }
    Ok(())
}

/// Removes a manifest, if there is room for it and its tags are gone.
fn take_manifest(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    budget: &mut Budget,
) -> Result<(), ApplyError> {
    if !budget.is_left() {
        return Ok(());
    }
    let record = Manifests::require(context.state, (repository, digest))?;
    let rows = record.blobs.len() + record.children.len();
    let parting = Parting { orphaned: true, deleted: false };
    deletion::take(context, repository, digest, &record, parting, Timestamp(0))?;
    budget.spend(rows);
    Ok(())
}

/// Removes links. No manifest is left that uses one.
fn links(context: &mut Context<'_, '_>, repository: &RepositoryName, budget: &mut Budget) -> Result<(), ApplyError> {
    let rows = Links::scan::<RepositoryName>(context.state, repository, None, budget.page())?;
    for ((_, digest), record) in rows {
        if !budget.is_left() {
            break;
        }
        let blob = Blobs::require(context.state, &digest)?;
        budget.bytes += blob.length_bytes;
        link::evict(context, repository, &digest, &record, blob)?;
        budget.spend(0);
    }
    Ok(())
}

fn tombstones(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    budget: &mut Budget,
) -> Result<(), ApplyError> {
    let rows = Tombstones::scan::<RepositoryName>(context.state, repository, None, budget.page())?;
    for ((_, digest), _) in rows {
        if !budget.is_left() {
            break;
        }
        tombstone::forget(context, repository, &digest)?;
        budget.spend(0);
    }
    Ok(())
}
