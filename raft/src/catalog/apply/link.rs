//! A repository's link to a blob, and the counts that hang on it: visibility, uses by manifests, references.
//!
//! A link that no manifest needs and a blob without links are in the garbage queue; what a client learns of a link moves
//! its deadline, and what was learned by a link that goes counts for the blob.

use storage::switch;

use super::context::{Context, subtract};
use super::{garbage, policy, replication, repository, usage};
use crate::catalog::event::EventKind;
use crate::catalog::garbage::{GarbageItem, is_touch_due, touched_deadline};
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::{BlobRecord, LinkRecord};
use crate::catalog::table::{BlobLinks, Blobs, Links};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// How long a link that is due is put off while its repository moves here.
const MOVING_SECONDS: u64 = 3600;

/// The blob's place in the garbage queue.
fn blob_item(digest: &Digest, blob: &BlobRecord) -> GarbageItem {
    GarbageItem::Blob { digest: *digest, generation: blob.generation }
}

fn link_item(repository: &RepositoryName, digest: &Digest) -> GarbageItem {
    GarbageItem::Link { repository: repository.clone(), digest: *digest }
}

/// Queues a link that no manifest needs.
fn queue(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    link: &LinkRecord,
) -> Result<(), ApplyError> {
    let grace_seconds = policy::of(context, repository)?.grace_seconds;
    let deadline = touched_deadline(link.touched, grace_seconds).max(link.keep_until);
    garbage::queue(context, &link_item(repository, digest), deadline)
}

/// A client learns that the blob exists: moves the link's deadline, unless it stays for a whole grace without that.
pub(super) fn touch(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut link: LinkRecord,
) -> Result<(), ApplyError> {
    if link.uses > 0 || switch::broken("catalog.blob.forget_touch") {
        return Ok(());
    }
    let grace_seconds = policy::of(context, repository)?.grace_seconds;
    let deadline = garbage::deadline(context, &link_item(repository, digest))?;
    if deadline.is_none_or(|deadline| is_touch_due(deadline, context.now, grace_seconds)) {
        link.touched = context.now;
        Links::put(context.state, (repository, digest), &link);
        queue(context, repository, digest, &link)?;
    }
    Ok(())
}

/// Whether a link that is due stays. While the repository moves here its home tells clients that the blob exists, and so
/// it did until this region became the home: all of them count as told at that moment.
pub(super) fn stays(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    link: &LinkRecord,
) -> Result<bool, ApplyError> {
    if replication::is_moving_here(context, repository)? {
        garbage::queue(context, &link_item(repository, digest), context.now.plus_seconds(MOVING_SECONDS))?;
        return Ok(true);
    }
    let since = policy::home_since(context.state, repository)?.filter(|since| link.touched < *since);
    let Some(since) = since else { return Ok(false) };
    let link = LinkRecord { touched: since, ..link.clone() };
    Links::put(context.state, (repository, digest), &link);
    queue(context, repository, digest, &link)?;
    Ok(true)
}

/// Makes a blob visible in a repository. Where it is already, this is a touch.
pub(super) fn link(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut blob: BlobRecord,
    mounted_from: Option<RepositoryName>,
) -> Result<(), ApplyError> {
    if let Some(link) = Links::get(context.state, (repository, digest))? {
        return touch(context, repository, digest, link);
    }
    let link = LinkRecord { uses: 0, touched: context.now, keep_until: Timestamp(0), counted: true };
    let length_bytes = blob.length_bytes;
    Links::put(context.state, (repository, digest), &link);
    BlobLinks::put(context.state, (digest, repository), &());
    queue(context, repository, digest, &link)?;
    usage::count_blob(context, repository, digest, length_bytes)?;
    if blob.links == 0 {
        spare(context, digest, &blob)?;
    }
    blob.links += 1;
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

/// A blob without links is about to get one, or new bytes: as this generation it is garbage no more.
pub(super) fn spare(context: &mut Context<'_, '_>, digest: &Digest, blob: &BlobRecord) -> Result<(), ApplyError> {
    if garbage::ignores_generations() {
        return Ok(());
    }
    garbage::dequeue(context, &blob_item(digest, blob))
}

/// Ends the visibility of a blob that no manifest of the repository uses. `learned` is the last moment at which a client
/// may have learned of it by this link.
pub(super) fn unlink(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    link: &LinkRecord,
    blob: BlobRecord,
    learned: Timestamp,
) -> Result<(), ApplyError> {
    remove(context, repository, digest, link, blob, learned)?;
    context.emit(EventKind::BlobUnlinked { repository: repository.clone(), digest: *digest });
    Ok(())
}

/// The same where the repository leaves this region: a blob that no other one links goes at once. Who asks for it is sent
/// elsewhere.
pub(super) fn evict(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    link: &LinkRecord,
    blob: BlobRecord,
) -> Result<(), ApplyError> {
    let learned = blob.touched;
    let blob = remove(context, repository, digest, link, blob, learned)?;
    if blob.links == 0 {
        garbage::queue(context, &blob_item(digest, &blob), context.now)?;
    }
    Ok(())
}

/// Removes a link that no manifest uses. Returns the blob as it is then.
fn remove(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    link: &LinkRecord,
    mut blob: BlobRecord,
    learned: Timestamp,
) -> Result<BlobRecord, ApplyError> {
    Links::delete(context.state, (repository, digest));
    BlobLinks::delete(context.state, (digest, repository));
    garbage::dequeue(context, &link_item(repository, digest))?;
    if link.counted {
        usage::uncount_blob(context, repository, digest, blob.length_bytes)?;
    }
    subtract(&mut blob.links, 1, "links of a blob")?;
    blob.touched = blob.touched.max(learned);
    if blob.links == 0 {
        let grace_seconds = policy::root(context)?.grace_seconds;
        garbage::queue(context, &blob_item(digest, &blob), touched_deadline(blob.touched, grace_seconds))?;
    }
    Blobs::put(context.state, digest, &blob);
    repository::change(context, repository, |record| {
        subtract(&mut record.links, 1, "links of a repository")?;
        subtract(&mut record.linked_bytes, blob.length_bytes, "linked bytes of a repository")
    })?;
    Ok(blob)
}

/// One more manifest of the repository uses the blob.
pub(super) fn retain(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    mut link: LinkRecord,
    mut blob: BlobRecord,
) -> Result<(), ApplyError> {
    if link.uses == 0 && !collects_used() {
        garbage::dequeue(context, &link_item(repository, digest))?;
    }
    if blob.references == 0 {
        subtract_unreferenced(context, blob.length_bytes)?;
    }
    if !link.counted {
        link.counted = true;
        usage::count_blob(context, repository, digest, blob.length_bytes)?;
    }
    let count = if switch::broken("catalog.manifest.count_twice") { 2 } else { 1 };
    link.uses += count;
    blob.references += count;
    Links::put(context.state, (repository, digest), &link);
    Blobs::put(context.state, digest, &blob);
    Ok(())
}

/// One manifest less of the repository uses the blob, which stays until `keep_until` at least.
pub(super) fn release(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    keep_until: Timestamp,
) -> Result<(), ApplyError> {
    let mut link = Links::require(context.state, (repository, digest))?;
    let mut blob = Blobs::require(context.state, digest)?;
    subtract(&mut link.uses, 1, "uses of a link")?;
    subtract(&mut blob.references, 1, "references to a blob")?;
    link.keep_until = link.keep_until.max(keep_until);
    if link.uses == 0 {
        link.touched = context.now;
        link.counted = false;
        usage::uncount_blob(context, repository, digest, blob.length_bytes)?;
        queue(context, repository, digest, &link)?;
    }
    if blob.references == 0 {
        context.totals.unreferenced_blobs += 1;
        context.totals.unreferenced_bytes += blob.length_bytes;
    }
    Links::put(context.state, (repository, digest), &link);
    Blobs::put(context.state, digest, &blob);
    Ok(())
}

/// A blob that no manifest uses is used from now on, or gone.
pub(super) fn subtract_unreferenced(context: &mut Context<'_, '_>, length_bytes: u64) -> Result<(), ApplyError> {
    subtract(&mut context.totals.unreferenced_blobs, 1, "unreferenced blobs in total")?;
    subtract(&mut context.totals.unreferenced_bytes, length_bytes, "unreferenced bytes in total")
}

/// A planted fault: a link stays queued when a manifest uses it, and is collected nevertheless.
pub(super) fn collects_used() -> bool {
    switch::broken("catalog.link.collect_used")
}
