//! Tombstones: what is kept of a deleted manifest until it can be restored no more.

use super::context::Context;
use super::garbage;
use super::history::Actor;
use crate::catalog::garbage::GarbageItem;
use crate::catalog::history::TombstoneRecord;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::ManifestRecord;
use crate::catalog::table::{ManifestContents, Referrers, TombstoneContents, Tombstones};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

fn item(repository: &RepositoryName, digest: &Digest) -> GarbageItem {
    GarbageItem::Tombstone { repository: repository.clone(), digest: *digest }
}

/// Keeps what a manifest is, while all of it is still there.
pub(super) fn keep(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
    tags: Vec<Tag>,
    actor: &Actor,
    until: Timestamp,
) -> Result<(), ApplyError> {
    let key = (repository, digest);
    let bytes = ManifestContents::require(context.state, key)?;
    let referrer = match &record.subject {
        Some(subject) => Some(Referrers::require(context.state, (repository, subject, digest))?),
        None => None,
    };
    let tombstone = TombstoneRecord {
        record: record.clone(),
        referrer,
        tags,
        deleted: context.now,
        until,
        principal: actor.principal.clone(),
        cause: actor.cause,
    };
    Tombstones::put(context.state, key, &tombstone);
    TombstoneContents::put(context.state, key, &bytes);
    garbage::queue(context, &item(repository, digest), until)
}

/// Removes the rows of a tombstone that is not queued any more.
pub(super) fn forget(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), ApplyError> {
    let key = (repository, digest);
    Tombstones::delete(context.state, key);
    TombstoneContents::delete(context.state, key);
    garbage::dequeue(context, &item(repository, digest))
}

/// The manifest exists again.
pub(super) fn replaced(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), ApplyError> {
    if Tombstones::contains(context.state, (repository, digest))? {
        forget(context, repository, digest)?;
    }
    Ok(())
}
