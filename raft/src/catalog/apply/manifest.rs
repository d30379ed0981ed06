//! Manifests: stored with their bytes, their edges to blobs, children and subject, and their tags.
//!
//! A manifest is held by a tag, by an index that lists it, or by a subject that exists; `unheld` sees to the others.

use std::collections::BTreeSet;

use storage::switch;

use super::context::Context;
use super::history::Actor;
use super::tag::Set;
use super::unheld::Parting;
use super::usage::Demand;
use super::{link, malformed, owed, policy, repository, tag, tombstone, unheld, usage};
use crate::catalog::command::PutManifest;
use crate::catalog::event::EventKind;
use crate::catalog::history::ChangeCause;
use crate::catalog::limit::UNKNOWN_BLOBS_NAMED;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::{BlobRecord, LinkRecord, ManifestRecord, ReferrerRecord};
use crate::catalog::replication::DebtItem;
use crate::catalog::response::Response;
use crate::catalog::table::{
    Blobs, Links, ManifestContents, ManifestParents, ManifestUses, Manifests, Referrers, Tags,
};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// A blob that a manifest uses, as it is before the manifest counts.
type Use = (Digest, LinkRecord, BlobRecord);

/// Stores a manifest that a client pushes, and sets its tags.
pub(super) fn put(context: &mut Context<'_, '_>, put: PutManifest) -> Result<Response, ApplyError> {
    if let Some(refusal) = policy::refuse_write(context, put.repository.as_str(), put.principal.as_deref())? {
        return Ok(refusal);
    }
    let made = put.made.filter(|_| policy::is_judged(put.principal.as_deref())).map(|made| made.min(context.now));
    let actor = Actor { principal: put.principal.clone(), cause: ChangeCause::Push, made };
    if let Some(refusal) = owed::refuse(context, &put.repository, put.principal.as_deref(), put.owed.as_ref())? {
        return Ok(refusal);
    }
    let Some(owed) = put.owed.clone() else { return store(context, put, &actor) };
    let (stored, tags) = (put.digest, put.tags.clone());
    let response = store(context, put, &actor)?;
    if matches!(response, Response::ManifestStored { .. }) {
        owed::pay(context, Some(&owed), |item| match item {
            DebtItem::Manifest { digest } => *digest == stored,
            DebtItem::Tag { tag, digest } => *digest == stored && tags.contains(tag),
            DebtItem::TagGone { .. } | DebtItem::ManifestGone { .. } | DebtItem::Blob { .. } => false,
        })?;
    }
    Ok(response)
}

/// Stores a manifest and sets its tags. Pushed again, it only moves tags, and renews its grace if nothing holds it;
/// under another media type it is described anew.
pub(super) fn store(
    context: &mut Context<'_, '_>,
    mut put: PutManifest,
    actor: &Actor,
) -> Result<Response, ApplyError> {
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
    let blobs = uses.iter().map(|(digest, _, blob)| (*digest, blob.length_bytes)).collect();
    let demand = Demand { manifests: u64::from(created), tags: 0, blobs };
    if let Some(refusal) = refuse(context, &put.repository, &put.digest, &put.tags, demand, actor)? {
        return Ok(refusal);
    }
    let mut record = match present {
        Some(present) if describes(&present, &put) => present,
        present => write(context, &put, uses, present, actor)?,
    };
    let tags = set_tags(context, &put.repository, &put.digest, &mut record, &put.tags, actor)?;
    let added = count_added(&tags);
    if created || added > 0 {
        repository::change(context, &put.repository, |counts| {
            counts.manifests += u64::from(created);
            counts.tags += added;
            Ok(())
        })?;
    }
    if created {
        context.totals.manifests += 1;
        tombstone::replaced(context, &put.repository, &put.digest)?;
        unheld::settle_referrers(context, &put.repository, &put.digest, Parting::default())?;
    }
    Ok(Response::ManifestStored { created, tags })
}

/// Sets tags on a manifest that exists; answers why not, if it may not be.
pub(super) fn retag(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    tags: &[Tag],
    actor: &Actor,
) -> Result<Option<Response>, ApplyError> {
    if let Some(refusal) = refuse(context, repository, digest, tags, Demand::default(), actor)? {
        return Ok(Some(refusal));
    }
    let mut record = Manifests::require(context.state, (repository, digest))?;
    let added = count_added(&set_tags(context, repository, digest, &mut record, tags, actor)?);
    repository::change(context, repository, |counts| {
        counts.tags += added;
        Ok(())
    })?;
    Ok(None)
}

/// Why these tags cannot be set: one points elsewhere and must not be moved, or a quota is exceeded.
fn refuse(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    tags: &[Tag],
    mut demand: Demand,
    actor: &Actor,
) -> Result<Option<Response>, ApplyError> {
    for tag in tags {
        match Tags::get(context.state, (repository, tag))? {
            None => demand.tags += 1,
            Some(present) if present.digest == *digest => {}
            Some(present) => {
                let principal = actor.principal.as_deref();
                let refusal = policy::refuse_change(context, repository, tag, &present.digest, principal)?;
                if refusal.is_some() {
                    return Ok(refusal);
                }
            }
        }
    }
    if policy::is_judged(actor.principal.as_deref()) {
        return Ok(None);
    }
    usage::refuse(context, repository, &demand)
}

/// How many of the tags that were set are new.
fn count_added(set: &[(Tag, Option<Digest>)]) -> u64 {
    set.iter().filter(|(_, before)| before.is_none()).count() as u64
}

/// Points tags to a manifest, stores its record and settles it. Returns those that did not point to it, with what they
/// pointed to.
fn set_tags(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &mut ManifestRecord,
    tags: &[Tag],
    actor: &Actor,
) -> Result<Vec<(Tag, Option<Digest>)>, ApplyError> {
    let mut set = Vec::new();
    for tag in tags {
        let before = match tag::set(context, repository, tag, digest, actor)? {
            Set::Unchanged => continue,
            Set::Added => None,
            Set::Moved(before) => Some(before),
        };
        record.tags += 1;
        set.push((tag.clone(), before));
    }
    Manifests::put(context.state, (repository, digest), record);
    unheld::settle(context, repository, digest, record, Parting::default())?;
    Ok(set)
}

/// Removes the edges of a manifest: its blobs stay until `keep_until` at least, and what it listed parts from it so.
pub(super) fn detach(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    record: &ManifestRecord,
    parting: Parting,
    keep_until: Timestamp,
) -> Result<(), ApplyError> {
    for blob in &record.blobs {
        ManifestUses::delete(context.state, (repository, blob, digest));
        link::release(context, repository, blob, keep_until)?;
    }
    for child in &record.children {
        ManifestParents::delete(context.state, (repository, child, digest));
        if let Some(held) = Manifests::get(context.state, (repository, child))? {
            unheld::settle(context, repository, child, &held, parting)?;
        }
    }
    if let Some(subject) = &record.subject {
        Referrers::delete(context.state, (repository, subject, digest));
    }
    Ok(())
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
        match (Links::get(context.state, (repository, digest))?, Blobs::get(context.state, digest)?) {
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
fn write(
    context: &mut Context<'_, '_>,
    put: &PutManifest,
    uses: Vec<Use>,
    present: Option<ManifestRecord>,
    actor: &Actor,
) -> Result<ManifestRecord, ApplyError> {
    let key = (&put.repository, &put.digest);
    let length_bytes = put.bytes.len() as u64;
    let (kept, uses) = match present {
        None => {
            ManifestContents::put(context.state, key, &put.bytes);
            ((0, actor.made.unwrap_or(context.now), context.next_generation()), uses)
        }
        Some(present) => {
            detach(context, &put.repository, &put.digest, &present, Parting::default(), Timestamp(0))?;
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
            unheld::hold(context, &put.repository, child, &held)?;
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
