//! Deletion of tags and manifests. What they held goes to the garbage queue; nothing is swept here.

use storage::switch;

use super::context::{Context, subtract};
use super::{garbage, manifest, repository, tag};
use crate::catalog::command::Response;
use crate::catalog::event::EventKind;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::table::{ManifestContents, ManifestTags, Manifests, Tags};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// Removes a tag, not its manifest.
pub(super) fn delete_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Response, ApplyError> {
    let Some(record) = Tags::get(context.state, (repository, tag))? else { return Ok(Response::TagUnknown) };
    remove_tag(context, repository, tag, &record.digest)?;
    tag::lose(context, repository, &record.digest)?;
    repository::change(context, repository, |counts| subtract(&mut counts.tags, 1, "tags of a repository"))?;
    Ok(Response::Done)
}

/// Removes a manifest with the tags that point to it. Its children stay: an index that lists it becomes sparse, one
/// that it lists may have lost its last hold.
pub(super) fn delete_manifest(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApplyError> {
    let Some(record) = Manifests::get(context.state, (repository, digest))? else {
        return Ok(Response::ManifestUnknown);
    };
    let tags = ManifestTags::scan::<(RepositoryName, Digest)>(context.state, (repository, digest), None, usize::MAX)?;
    if record.tags != tags.len() as u64 {
        return Err(inconsistent("manifest", "it counts other tags than those that point to it"));
    }
    for ((_, _, tag), ()) in &tags {
        remove_tag(context, repository, tag, digest)?;
    }
    garbage::dequeue(context, &manifest::item(repository, digest, &record))?;
    Manifests::delete(context.state, (repository, digest));
    ManifestContents::delete(context.state, (repository, digest));
    manifest::detach(context, repository, digest, &record)?;
    manifest::settle_referrers(context, repository, digest)?;
    repository::change(context, repository, |counts| {
        subtract(&mut counts.manifests, 1, "manifests of a repository")?;
        subtract(&mut counts.tags, record.tags, "tags of a repository")
    })?;
    subtract(&mut context.totals.manifests, 1, "manifests in total")?;
    context.emit(EventKind::ManifestDeleted { repository: repository.clone(), digest: *digest });
    Ok(Response::Done)
}

/// Removes the rows of a tag.
fn remove_tag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
) -> Result<(), ApplyError> {
    if !switch::broken("catalog.tag.keep_on_delete") {
        Tags::delete(context.state, (repository, tag));
    }
    ManifestTags::delete(context.state, (repository, digest, tag));
    subtract(&mut context.totals.tags, 1, "tags in total")?;
    context.emit(EventKind::TagDeleted { repository: repository.clone(), tag: tag.clone(), digest: *digest });
    Ok(())
}
