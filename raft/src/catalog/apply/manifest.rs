//! Manifests: stored with their bytes, their edges to blobs, children and subject, and their tags.
//!
//! A manifest is held by a tag, by an index that lists it, or by a subject that exists; one that nothing holds is in
//! the garbage queue.

use std::collections::BTreeSet;

use storage::switch;

use super::context::Context;
use super::tag::Set;
use super::{garbage, link, malformed, repository, tag};
use crate::catalog::command::{PutManifest, Response};
use crate::catalog::event::EventKind;
use crate::catalog::limit::UNKNOWN_BLOBS_NAMED;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::{BlobRecord, GarbageItem, LinkRecord, ManifestRecord, ReferrerRecord};
use crate::catalog::table::{Links, ManifestContents, ManifestParents, ManifestUses, Manifests, Referrers};
use crate::machine::ApplyError;
use crate::table::Table;

/// A blob that a manifest uses, as it is before the manifest counts.
type Use = (Digest, LinkRecord, BlobRecord);

/// Stores a manifest and sets its tags. Pushed again, it only moves tags, and renews its grace if nothing holds it;
/// under another media type it is described anew.
pub(super) fn put(context: &mut Context<'_, '_>, mut put: PutManifest) -> Result<Response, ApplyError> {
    keep_first(&mut put.blobs);
    keep_first(&mut put.children);
    keep_first(&mut put.tags);
    if put.children.contains(&put.digest) || put.subject == Some(put.digest) {
        return Ok(malformed("a manifest that names itself"));
    }
    let uses = match visible(context, &put.repository, &put.blobs)? {
        Ok(uses) => uses,
        Err(digests) => return Ok(Response::ManifestBlobsUnknown { digests }),
    };
    let present = Manifests::get(context.state, (&put.repository, &put.digest))?;
    let created = present.is_none();
    let mut record = match present {
        Some(present) if describes(&present, &put) => present,
        present => store(context, &put, uses, present)?,
    };
    let mut added = 0;
    for name in &put.tags {
        match tag::set(context, &put.repository, name, &put.digest)? {
            Set::Unchanged => {}
            Set::Added => {
                record.tags += 1;
                added += 1;
            }
            Set::Moved => record.tags += 1,
        }
    }
    Manifests::put(context.state, (&put.repository, &put.digest), &record);
    settle(context, &put.repository, &put.digest, &record)?;
    if created || added > 0 {
        repository::change(context, &put.repository, |counts| {
            counts.manifests += u64::from(created);
            counts.tags += added;
            Ok(())
        })?;
    }
    if created {
        context.totals.manifests += 1;
        settle_referrers(context, &put.repository, &put.digest)?;
    }
    Ok(Response::ManifestStored { created })
}

/// Puts a manifest that is not in the garbage queue there if nothing holds it, and takes out one that something holds.
pub(super) fn settle(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<(), ApplyError> {
    let item = item(repository, digest, record);
    if is_held(context, repository, digest, record)? {
        garbage::dequeue(context, &item)
    } else {
        garbage::queue(context, &item)
    }
}

/// The same for the manifests that refer to this one, which has come or gone.
pub(super) fn settle_referrers(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<(), ApplyError> {
    let referrers =
        Referrers::scan::<(RepositoryName, Digest)>(context.state, (repository, subject), None, usize::MAX)?;
    for ((_, _, referrer), _) in referrers {
        let record = Manifests::require(context.state, (repository, &referrer))?;
        settle(context, repository, &referrer, &record)?;
    }
    Ok(())
}

/// Removes the edges of a manifest; what they held may go to the garbage queue.
pub(super) fn detach(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<(), ApplyError> {
    for blob in &record.blobs {
        ManifestUses::delete(context.state, (repository, blob, digest));
        link::release(context, repository, blob)?;
    }
    for child in &record.children {
        ManifestParents::delete(context.state, (repository, child, digest));
        if let Some(held) = Manifests::get(context.state, (repository, child))? {
            settle(context, repository, child, &held)?;
        }
    }
    if let Some(subject) = &record.subject {
        Referrers::delete(context.state, (repository, subject, digest));
    }
    Ok(())
}

/// The manifest's place in the garbage queue.
pub(super) fn item(repository: &RepositoryName, digest: &Digest, record: &ManifestRecord) -> GarbageItem {
    GarbageItem::Manifest { repository: repository.clone(), digest: *digest, generation: record.generation }
}

fn is_held(
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

/// The blobs of a manifest as they are, or those that are not visible in the repository, the first few of them.
fn visible(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    blobs: &[Digest],
) -> Result<Result<Vec<Use>, Vec<Digest>>, ApplyError> {
    let mut uses = Vec::with_capacity(blobs.len());
    let mut unknown = Vec::new();
    for digest in blobs {
        match (Links::get(context.state, (repository, digest))?, link::live(context, digest)?) {
            (Some(link), Some(blob)) => uses.push((*digest, link, blob)),
            _ => unknown.push(*digest),
        }
        if unknown.len() == UNKNOWN_BLOBS_NAMED {
            break;
        }
    }
    Ok(if unknown.is_empty() { Ok(uses) } else { Err(unknown) })
}

fn describes(record: &ManifestRecord, put: &PutManifest) -> bool {
    record.media_type == put.media_type
        && record.blobs == put.blobs
        && record.children == put.children
        && record.subject == put.subject
}

/// Stores the bytes and edges of a manifest that is new, or that is described in another way than before. The caller
/// stores the record.
fn store(
    context: &mut Context<'_, '_>,
    put: &PutManifest,
    uses: Vec<Use>,
    present: Option<ManifestRecord>,
) -> Result<ManifestRecord, ApplyError> {
    let key = (&put.repository, &put.digest);
    let length_bytes = put.bytes.len() as u64;
    let (kept, uses) = match present {
        None => {
            ManifestContents::put(context.state, key, &put.bytes);
            ((0, context.now, context.next_generation()), uses)
        }
        Some(present) => {
            detach(context, &put.repository, &put.digest, &present)?;
            let kept = (present.tags, present.pushed, present.generation);
            // The counts have changed; the blobs are as visible as before.
            (kept, visible(context, &put.repository, &put.blobs)?.unwrap_or_default())
        }
    };
    let (tags, pushed, generation) = kept;
    let record = ManifestRecord {
        media_type: put.media_type.clone(),
        length_bytes,
        blobs: put.blobs.clone(),
        children: put.children.clone(),
        subject: put.subject,
        tags,
        pushed,
        generation,
    };
    attach(context, put, uses)?;
    context.emit(EventKind::ManifestStored {
        repository: put.repository.clone(),
        digest: put.digest,
        media_type: put.media_type.clone(),
        length_bytes,
    });
    Ok(record)
}

fn attach(context: &mut Context<'_, '_>, put: &PutManifest, uses: Vec<Use>) -> Result<(), ApplyError> {
    for (digest, link, blob) in uses {
        ManifestUses::put(context.state, (&put.repository, &digest, &put.digest), &());
        if !switch::broken("catalog.manifest.forget_reference") {
            link::retain(context, &put.repository, &digest, link, blob)?;
        }
    }
    for child in &put.children {
        ManifestParents::put(context.state, (&put.repository, child, &put.digest), &());
        if let Some(held) = Manifests::get(context.state, (&put.repository, child))? {
            garbage::dequeue(context, &item(&put.repository, child, &held))?;
        }
    }
    if let Some(subject) = &put.subject {
        let referrer = ReferrerRecord {
            media_type: put.media_type.clone(),
            length_bytes: put.bytes.len() as u64,
            artifact_type: put.artifact_type.clone(),
            annotations: put.annotations.clone(),
        };
        Referrers::put(context.state, (&put.repository, subject, &put.digest), &referrer);
    }
    Ok(())
}

/// Keeps the first of equal items, in order.
fn keep_first<T: Ord + Clone>(items: &mut Vec<T>) {
    let mut seen = BTreeSet::new();
    items.retain(|item| seen.insert(item.clone()));
}
