//! Deletions taken back, within their window: as if what was deleted were pushed again.

use super::context::Context;
use super::history::Actor;
use super::{history, manifest, policy};
use crate::catalog::command::PutManifest;
use crate::catalog::history::{ChangeCause, RestoreTarget};
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::response::Response;
use crate::catalog::table::{Manifests, Tags, TombstoneContents, Tombstones};
use crate::machine::ApplyError;
use crate::table::Table;

/// Restores a manifest with its tags that are free, or a tag with its manifest.
pub(super) fn restore(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    target: &RestoreTarget,
    principal: Option<String>,
) -> Result<Response, ApplyError> {
    if let Some(refusal) = policy::refuse_write(context, repository.as_str(), principal.as_deref())? {
        return Ok(refusal);
    }
    let actor = Actor { principal, cause: ChangeCause::Restore, made: None };
    match target {
        RestoreTarget::Manifest(digest) => restore_manifest(context, repository, digest, None, &actor),
        RestoreTarget::Tag(tag) => restore_tag(context, repository, tag, &actor),
    }
}

/// Points a tag to what it pointed to when it was deleted.
fn restore_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    actor: &Actor,
) -> Result<Response, ApplyError> {
    if Tags::contains(context.state, (repository, tag))? {
        return Ok(Response::NothingToRestore);
    }
    let restore_seconds = policy::of(context, repository)?.restore_seconds;
    let deletion = history::last(context, repository, tag)?
        .map(|(_, change)| change)
        .filter(|change| change.digest.is_none() && context.now < change.time.plus_seconds(restore_seconds));
    let Some(digest) = deletion.and_then(|change| change.previous) else { return Ok(Response::NothingToRestore) };
    if Manifests::contains(context.state, (repository, &digest))? {
        let tags = vec![tag.clone()];
        if let Some(refusal) = manifest::retag(context, repository, &digest, &tags, actor)? {
            return Ok(refusal);
        }
        return Ok(Response::Restored { digest, tags });
    }
    restore_manifest(context, repository, &digest, Some(tag), actor)
}

/// Restores a manifest with one tag, or with all those that were deleted with it and are free.
fn restore_manifest(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    tag: Option<&Tag>,
    actor: &Actor,
) -> Result<Response, ApplyError> {
    let key = (repository, digest);
    let kept = Tombstones::get(context.state, key)?.filter(|tombstone| context.now < tombstone.until);
    let Some(tombstone) = kept else { return Ok(Response::NothingToRestore) };
    let mut tags = Vec::new();
    for tag in tag.map_or(tombstone.tags.as_slice(), std::slice::from_ref) {
        if !Tags::contains(context.state, (repository, tag))? {
            tags.push(tag.clone());
        }
    }
    let (artifact_type, annotations) =
        tombstone.referrer.map_or_else(Default::default, |referrer| (referrer.artifact_type, referrer.annotations));
    let put = PutManifest {
        repository: repository.clone(),
        digest: *digest,
        media_type: tombstone.record.media_type,
        bytes: TombstoneContents::require(context.state, key)?,
        tags: tags.clone(),
        blobs: tombstone.record.blobs,
        children: tombstone.record.children,
        subject: tombstone.record.subject,
        artifact_type,
        annotations,
        principal: actor.principal.clone(),
        owed: None,
        made: None,
    };
    match manifest::store(context, put, actor)? {
        Response::ManifestStored { .. } => Ok(Response::Restored { digest: *digest, tags }),
        refusal => Ok(refusal),
    }
}
