//! Deletion of tags and manifests. What they held goes to the garbage queue; what was deleted can be restored for a
//! while. The collector removes manifests by the same steps, without a trace.

use storage::switch;

use super::context::{Context, subtract};
use super::history::Actor;
use super::unheld::Parting;
use super::{history, manifest, owed, policy, repository, tag, tombstone, unheld};
use crate::catalog::event::EventKind;
use crate::catalog::history::ChangeCause;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::{ManifestRecord, TagRecord};
use crate::catalog::replication::{DebtItem, Owed};
use crate::catalog::response::Response;
use crate::catalog::table::{ManifestContents, ManifestTags, Manifests, Pulls, Tags};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};
use crate::time::Timestamp;

/// What became of a tag that a job wanted to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// It is gone; its manifest is there.
    Tag,
    /// It is gone, and its manifest with it, since nothing else held that.
    TagAndManifest,
    /// It does not exist any more, or points to another manifest.
    Changed,
    /// It cannot be deleted.
    Immutable,
}

/// Removes a tag, not its manifest.
pub(super) fn delete_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    principal: Option<String>,
    owed: Option<&Owed>,
) -> Result<Response, ApplyError> {
    if let Some(refusal) = policy::refuse_delete(context, repository, principal.as_deref())? {
        return Ok(refusal);
    }
    if let Some(refusal) = owed::refuse(context, repository, principal.as_deref(), owed)? {
        return Ok(refusal);
    }
    let Some(record) = Tags::get(context.state, (repository, tag))? else { return Ok(Response::TagUnknown) };
    if let Some(refusal) = policy::refuse_change(context, repository, tag, &record.digest, principal.as_deref())? {
        return Ok(refusal);
    }
    let actor = Actor { principal, cause: ChangeCause::Delete, made: None };
    drop_tag(context, repository, tag, &record, &actor)?;
    owed::pay(context, owed, |item| *item == DebtItem::TagGone { tag: tag.clone() })?;
    Ok(Response::Deleted { tags: vec![(tag.clone(), record.digest)] })
}

/// Removes a manifest with the tags that point to it. Its children stay: an index that lists it becomes sparse, one
/// that it lists may have lost its last hold.
pub(super) fn delete_manifest(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    principal: Option<String>,
    owed: Option<&Owed>,
) -> Result<Response, ApplyError> {
    if let Some(refusal) = policy::refuse_delete(context, repository, principal.as_deref())? {
        return Ok(refusal);
    }
    if let Some(refusal) = owed::refuse(context, repository, principal.as_deref(), owed)? {
        return Ok(refusal);
    }
    let Some(record) = Manifests::get(context.state, (repository, digest))? else {
        return Ok(Response::ManifestUnknown);
    };
    let rows = ManifestTags::scan::<(RepositoryName, Digest)>(context.state, (repository, digest), None, usize::MAX)?;
    let tags: Vec<Tag> = rows.into_iter().map(|((_, _, tag), ())| tag).collect();
    for tag in &tags {
        if let Some(refusal) = policy::refuse_change(context, repository, tag, digest, principal.as_deref())? {
            return Ok(refusal);
        }
    }
    let actor = Actor { principal, cause: ChangeCause::Delete, made: None };
    let gone = tags.iter().map(|tag| (tag.clone(), *digest)).collect();
    remove(context, repository, digest, &record, tags, Some(&actor))?;
    owed::pay(context, owed, |item| *item == DebtItem::ManifestGone { digest: *digest })?;
    Ok(Response::Deleted { tags: gone })
}

/// Removes a tag that still points to this manifest, and the manifest too if nothing else holds it: a step of a job.
pub(super) fn delete_tagged(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
    actor: &Actor,
) -> Result<Deleted, ApplyError> {
    let present = Tags::get(context.state, (repository, tag))?;
    let Some(record) = present.filter(|record| record.digest == *digest) else { return Ok(Deleted::Changed) };
    if policy::refuse_change(context, repository, tag, digest, actor.principal.as_deref())?.is_some() {
        return Ok(Deleted::Immutable);
    }
    let manifest = Manifests::require(context.state, (repository, digest))?;
    let without = ManifestRecord { tags: manifest.tags.saturating_sub(1), ..manifest.clone() };
    if unheld::is_held(context, repository, digest, &without)? {
        drop_tag(context, repository, tag, &record, actor)?;
        return Ok(Deleted::Tag);
    }
    remove(context, repository, digest, &manifest, vec![tag.clone()], Some(actor))?;
    Ok(Deleted::TagAndManifest)
}

/// Removes a manifest that nothing holds. Nothing is kept of it.
pub(super) fn collect_manifest(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<(), ApplyError> {
    remove(context, repository, digest, record, Vec::new(), None)
}

/// Removes a manifest with its tags, which are all that point to it. Without an actor it is collected: nothing is kept of
/// it, and what it listed goes too.
fn remove(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
    tags: Vec<Tag>,
    actor: Option<&Actor>,
) -> Result<(), ApplyError> {
    if record.tags != tags.len() as u64 {
        return Err(inconsistent("manifest", "it counts other tags than those that point to it"));
    }
    let mut keep_until = Timestamp(0);
    let deleted = actor.is_some_and(is_restorable);
    if let Some(actor) = actor {
        for tag in &tags {
            let present = Tags::require(context.state, (repository, tag))?;
            remove_tag(context, repository, tag, &present, actor)?;
        }
        let restore_seconds = policy::of(context, repository)?.restore_seconds;
        if deleted && restore_seconds > 0 {
            keep_until = context.now.plus_seconds(restore_seconds);
            tombstone::keep(context, repository, digest, record, tags, actor, keep_until)?;
        }
    }
    let whole = actor.is_none_or(|actor| matches!(actor.cause, ChangeCause::Retention | ChangeCause::BulkDeletion));
    take(context, repository, digest, record, Parting { orphaned: whole, deleted }, keep_until)?;
    context.emit(EventKind::ManifestDeleted { repository: repository.clone(), digest: *digest });
    Ok(())
}

/// Takes the rows of a manifest away, its tags' own left out. What it listed parts from it so, and what referred to it is
/// an orphan.
pub(super) fn take(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
    parting: Parting,
    keep_until: Timestamp,
) -> Result<(), ApplyError> {
    unheld::hold(context, repository, digest, record)?;
    Manifests::delete(context.state, (repository, digest));
    ManifestContents::delete(context.state, (repository, digest));
    Pulls::delete(context.state, (repository, digest));
    manifest::detach(context, repository, digest, record, parting, keep_until)?;
    unheld::settle_referrers(context, repository, digest, Parting { orphaned: true, ..parting })?;
    repository::change(context, repository, |counts| {
        subtract(&mut counts.manifests, 1, "manifests of a repository")?;
        subtract(&mut counts.tags, record.tags, "tags of a repository")
    })?;
    subtract(&mut context.totals.manifests, 1, "manifests in total")
}

/// Whether an operator may take back what somebody deletes. What a copy deletes the home has deleted: there it is
/// restored.
fn is_restorable(actor: &Actor) -> bool {
    !policy::is_judged(actor.principal.as_deref())
}

/// Removes a tag; its manifest counts it no more.
fn drop_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    record: &TagRecord,
    actor: &Actor,
) -> Result<(), ApplyError> {
    remove_tag(context, repository, tag, record, actor)?;
    tag::lose(context, repository, &record.digest, Parting { orphaned: false, deleted: is_restorable(actor) })?;
    repository::change(context, repository, |counts| subtract(&mut counts.tags, 1, "tags of a repository"))
}

/// Removes the rows of a tag.
fn remove_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    record: &TagRecord,
    actor: &Actor,
) -> Result<(), ApplyError> {
    let digest = record.digest;
    if !switch::broken("catalog.tag.keep_on_delete") {
        Tags::delete(context.state, (repository, tag));
    }
    ManifestTags::delete(context.state, (repository, &digest, tag));
    subtract(&mut context.totals.tags, 1, "tags in total")?;
    context.emit(EventKind::TagDeleted { repository: repository.clone(), tag: tag.clone(), digest });
    history::deleted(context, repository, tag, (record.revision, digest), actor)
}
