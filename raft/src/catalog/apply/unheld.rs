//! Manifests that nothing holds: neither a tag, nor an index that lists them, nor a subject that exists.
//!
//! Each has a row that says since when; whether it is queued as garbage too is a matter of policy, and orphans always
//! are.

use super::context::Context;
use super::{garbage, policy};
use crate::catalog::garbage::{GarbageItem, UnheldRecord, is_touch_due, unheld_deadline};
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::ManifestRecord;
use crate::catalog::response::Response;
use crate::catalog::table::{ManifestParents, Manifests, Referrers, UnheldManifests};
use crate::machine::ApplyError;
use crate::table::Table;

/// What a manifest lost its hold by, if it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parting {
    /// It goes whatever the policy says of untagged manifests.
    pub(super) orphaned: bool,
    /// An operator may take back what let it go.
    pub(super) deleted: bool,
}

/// The manifest's place in the garbage queue.
fn item(repository: &RepositoryName, digest: &Digest, record: &ManifestRecord) -> GarbageItem {
    GarbageItem::Manifest { repository: repository.clone(), digest: *digest, generation: record.generation }
}

/// Brings the rows of a manifest in line with whether something holds it. If nothing does, it is unheld from now on.
pub(super) fn settle(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
    parting: Parting,
) -> Result<(), ApplyError> {
    if is_held(context, repository, digest, record)? {
        return hold(context, repository, digest, record);
    }
    let unheld = UnheldRecord { since: context.now, orphaned: parting.orphaned, deleted: parting.deleted };
    UnheldManifests::put(context.state, (repository, digest), &unheld);
    schedule(context, repository, digest, record, &unheld)
}

/// Something holds the manifest, or it is gone.
pub(super) fn hold(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<(), ApplyError> {
    if UnheldManifests::contains(context.state, (repository, digest))? {
        UnheldManifests::delete(context.state, (repository, digest));
        garbage::dequeue(context, &item(repository, digest, record))?;
    }
    Ok(())
}

/// Queues an unheld manifest as the policy of now says and as this region's role allows, or takes it out.
pub(super) fn schedule(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
    unheld: &UnheldRecord,
) -> Result<(), ApplyError> {
    let item = item(repository, digest, record);
    match unheld_deadline(unheld, &policy::of(context, repository)?) {
        Some(deadline) if !policy::keeps_unheld(context.state, repository)? => garbage::queue(context, &item, deadline),
        _ => garbage::dequeue(context, &item),
    }
}

/// Renews the grace of a manifest that a client was told exists. Coalesced; one that is held or kept needs none.
pub(super) fn touch(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApplyError> {
    let Some(record) = Manifests::get(context.state, (repository, digest))? else {
        return Ok(Response::ManifestUnknown);
    };
    let Some(mut unheld) = UnheldManifests::get(context.state, (repository, digest))? else {
        return Ok(Response::Done);
    };
    let policy = policy::of(context, repository)?;
    let grace_seconds = policy.grace_seconds;
    let deadline = match garbage::deadline(context, &item(repository, digest, &record))? {
        // It is queued once it is looked at again, should this region have become the home a moment ago.
        None if !policy::keeps_unheld(context.state, repository)? => unheld_deadline(&unheld, &policy),
        queued => queued,
    };
    if deadline.is_some_and(|deadline| is_touch_due(deadline, context.now, grace_seconds)) {
        unheld.since = context.now;
        UnheldManifests::put(context.state, (repository, digest), &unheld);
        schedule(context, repository, digest, &record, &unheld)?;
    }
    Ok(Response::Done)
}

/// Whether a manifest that is due stays for another grace: until this region became the home, the former one told clients
/// that it exists, or this one did while it was fenced and did not note it. All of them count as told at that moment.
pub(super) fn stays(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<bool, ApplyError> {
    let Some(unheld) = UnheldManifests::get(context.state, (repository, digest))? else { return Ok(false) };
    let since = policy::home_since(context.state, repository)?.filter(|since| unheld.since < *since);
    let Some(since) = since else { return Ok(false) };
    let unheld = UnheldRecord { since, ..unheld };
    UnheldManifests::put(context.state, (repository, digest), &unheld);
    schedule(context, repository, digest, record, &unheld)?;
    Ok(true)
}

/// Settles the manifests that refer to this one, which has come or gone.
pub(super) fn settle_referrers(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    subject: &Digest,
    parting: Parting,
) -> Result<(), ApplyError> {
    let referrers =
        Referrers::scan::<(RepositoryName, Digest)>(context.state, (repository, subject), None, usize::MAX)?;
    for ((_, _, referrer), _) in referrers {
        let record = Manifests::require(context.state, (repository, &referrer))?;
        settle(context, repository, &referrer, &record, parting)?;
    }
    Ok(())
}

/// Whether a tag, an index or a subject holds it.
pub(super) fn is_held(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<bool, ApplyError> {
    if record.tags > 0 {
        return Ok(true);
    }
    let parent = ManifestParents::scan::<(RepositoryName, Digest)>(context.state, (repository, digest), None, 1)?;
    if !parent.is_empty() {
        return Ok(true);
    }
    record.subject.as_ref().map_or(Ok(false), |subject| Manifests::contains(context.state, (repository, subject)))
}
