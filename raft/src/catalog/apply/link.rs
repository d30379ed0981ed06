//! A repository's link to a blob, and the counts that hang on it: visibility, uses by manifests, references.
//!
//! A blob that nothing references and a link that no manifest needs are in the garbage queue; what a client learns of
//! them moves their deadlines.

use super::context::{Context, subtract};
use super::{garbage, repository};
use crate::catalog::event::EventKind;
use crate::catalog::limit::TOUCH_INTERVAL_SECONDS;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::{BlobRecord, BlobState, GarbageItem, LinkRecord};
use crate::catalog::table::{BlobLinks, Blobs, Links};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// The blob's place in the garbage queue.
pub(super) fn blob_item(digest: &Digest, blob: &BlobRecord) -> GarbageItem {
    GarbageItem::Blob { digest: *digest, generation: blob.generation }
}

fn link_item(repository: &RepositoryName, digest: &Digest) -> GarbageItem {
    GarbageItem::Link { repository: repository.clone(), digest: *digest }
}

/// The blob, if it exists for clients.
pub(super) fn live(context: &Context<'_, '_>, digest: &Digest) -> Result<Option<BlobRecord>, ApplyError> {
    Ok(Blobs::get(context.state, digest)?.filter(|blob| blob.state == BlobState::Live))
}

fn due(context: &Context<'_, '_>, touched: Timestamp) -> bool {
    touched.plus_seconds(TOUCH_INTERVAL_SECONDS) <= context.now
}

/// A client learns that the blob exists: moves its deadlines on, if nothing references it and the last touch is long
/// enough ago.
pub(super) fn touch(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut link: LinkRecord,
    mut blob: BlobRecord,
) -> Result<(), ApplyError> {
    if link.uses == 0 && due(context, link.touched) {
        link.touched = context.now;
        garbage::queue(context, &link_item(repository, digest))?;
        Links::put(context.state, (repository, digest), &link);
    }
    if blob.references == 0 && due(context, blob.touched) {
        blob.touched = context.now;
        garbage::queue(context, &blob_item(digest, &blob))?;
        Blobs::put(context.state, digest, &blob);
    }
    Ok(())
}

/// Makes a live blob visible in a repository. Where it is already, this is a touch.
pub(super) fn link(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut blob: BlobRecord,
    mounted_from: Option<RepositoryName>,
) -> Result<(), ApplyError> {
    if let Some(link) = Links::get(context.state, (repository, digest))? {
        return touch(context, repository, digest, link, blob);
    }
    let link = LinkRecord { uses: 0, touched: context.now };
    Links::put(context.state, (repository, digest), &link);
    BlobLinks::put(context.state, (digest, repository), &());
    garbage::queue(context, &link_item(repository, digest))?;
    let length_bytes = blob.length_bytes;
    blob.links += 1;
    if blob.references == 0 && due(context, blob.touched) {
        blob.touched = context.now;
        garbage::queue(context, &blob_item(digest, &blob))?;
    }
    Blobs::put(context.state, digest, &blob);
    repository::change(context, repository, |record| {
        record.links += 1;
        record.linked_bytes += length_bytes;
        Ok(())
    })?;
    let (repository, digest) = (repository.clone(), *digest);
    context.emit(EventKind::BlobLinked { repository, digest, length_bytes, mounted_from });
    Ok(())
}

/// Ends the visibility of a blob that no manifest of the repository uses.
pub(super) fn unlink(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut blob: BlobRecord,
) -> Result<(), ApplyError> {
    Links::delete(context.state, (repository, digest));
    BlobLinks::delete(context.state, (digest, repository));
    garbage::dequeue(context, &link_item(repository, digest))?;
    subtract(&mut blob.links, 1, "links of a blob")?;
    Blobs::put(context.state, digest, &blob);
    repository::change(context, repository, |record| {
        subtract(&mut record.links, 1, "links of a repository")?;
        subtract(&mut record.linked_bytes, blob.length_bytes, "linked bytes of a repository")
    })?;
    context.emit(EventKind::BlobUnlinked { repository: repository.clone(), digest: *digest });
    Ok(())
}

/// One more manifest of the repository uses the blob.
pub(super) fn retain(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut link: LinkRecord,
    mut blob: BlobRecord,
) -> Result<(), ApplyError> {
    if link.uses == 0 {
        garbage::dequeue(context, &link_item(repository, digest))?;
    }
    if blob.references == 0 {
        garbage::dequeue(context, &blob_item(digest, &blob))?;
    }
    link.uses += 1;
    blob.references += 1;
    Links::put(context.state, (repository, digest), &link);
    Blobs::put(context.state, digest, &blob);
    Ok(())
}

/// One manifest less of the repository uses the blob.
pub(super) fn release(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), ApplyError> {
    let mut link = Links::require(context.state, (repository, digest))?;
    let mut blob = Blobs::require(context.state, digest)?;
    subtract(&mut link.uses, 1, "uses of a link")?;
    subtract(&mut blob.references, 1, "references to a blob")?;
    if link.uses == 0 {
        link.touched = context.now;
        garbage::queue(context, &link_item(repository, digest))?;
    }
    if blob.references == 0 {
        blob.touched = context.now;
        garbage::queue(context, &blob_item(digest, &blob))?;
    }
    Links::put(context.state, (repository, digest), &link);
    Blobs::put(context.state, digest, &blob);
    Ok(())
}
