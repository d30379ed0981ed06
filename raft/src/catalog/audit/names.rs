//! What clients name: manifests with their edges, tags, repositories.

use super::Audit;
use crate::catalog::apply;
use crate::catalog::event::EventKind;
use crate::catalog::garbage::{GarbageItem, UnheldRecord, unheld_deadline};
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::{ManifestRecord, RepositoryRecord, TagRecord};
use crate::catalog::table::{
    Blobs, Feed, Links, ManifestContents, ManifestParents, ManifestTags, ManifestUses, Manifests, PolicyWalks, Pulls,
    Referrers, Repositories, Tags, UnheldManifests,
};
use crate::machine::State;
use crate::policy::prefixes;
use crate::table::StateError;

const WHOLE: &str = "a manifest never lacks a blob";
const EDGES: &str = "edges are symmetrical";
const TAGS: &str = "no tag dangles";
const UNHELD: &str = "a manifest is listed as unheld exactly while nothing holds it";
const COUNTS: &str = "a repository's counts are exact";

/// How many there are of what clients name.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) repositories: u64,
    pub(super) manifests: u64,
    pub(super) tags: u64,
}

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<Counts, StateError> {
    let mut counts = Counts::default();
    audit.each::<Manifests>(|audit, (repository, digest), manifest| {
        counts.manifests += 1;
        whole(audit, &repository, &digest, &manifest)?;
        edges(audit, &repository, &digest, &manifest)?;
        held(audit, repository, digest, &manifest)
    })?;
    edges_back(audit)?;
    audit.each::<Tags>(|audit, (repository, tag), record| {
        counts.tags += 1;
        tagged(audit, &repository, &tag, &record)
    })?;
    audit.each::<Repositories>(|audit, name, record| {
        counts.repositories += 1;
        repository(audit, &name, &record)
    })?;
    Ok(counts)
}

/// Its bytes and every blob that it names are there, and visible in its repository.
fn whole<S: State>(
    audit: &mut Audit<'_, S>,
    repository: &RepositoryName,
    digest: &Digest,
    manifest: &ManifestRecord,
) -> Result<(), StateError> {
    let length = audit.get::<ManifestContents>((repository, digest))?.map(|bytes| bytes.len() as u64);
    audit.expect(length == Some(manifest.length_bytes), "a manifest has its bytes", || {
        format!("{repository}@{digest} of {} bytes has {length:?}", manifest.length_bytes)
    });
    for blob in &manifest.blobs {
        let there = audit.contains::<Blobs>(blob)?;
        audit.expect(there, WHOLE, || format!("{repository}@{digest} uses {blob}, which does not exist"));
        let linked = audit.contains::<Links>((repository, blob))?;
        audit.expect(linked, WHOLE, || format!("{repository}@{digest} uses {blob}, which {repository} does not link"));
    }
    let next = audit.clock.next_generation;
    audit.expect(manifest.generation < next, "generations are given out once", || {
        format!("{repository}@{digest} has {}, the next one is {next}", manifest.generation)
    });
    let known = audit.contains::<Repositories>(repository)?;
    audit.expect(known, COUNTS, || format!("{repository} is not there and has {digest}"));
    Ok(())
}

/// What it names knows of it.
fn edges<S: State>(
    audit: &mut Audit<'_, S>,
    repository: &RepositoryName,
    digest: &Digest,
    manifest: &ManifestRecord,
) -> Result<(), StateError> {
    for blob in &manifest.blobs {
        let used = audit.contains::<ManifestUses>((repository, blob, digest))?;
        audit.expect(used, EDGES, || format!("{repository}: {blob} does not know of its user {digest}"));
    }
    for child in &manifest.children {
        let listed = audit.contains::<ManifestParents>((repository, child, digest))?;
        audit.expect(listed, EDGES, || format!("{repository}: {child} does not know of its index {digest}"));
    }
    if let Some(subject) = &manifest.subject {
        let referrer = audit.get::<Referrers>((repository, subject, digest))?;
        let same = referrer.is_some_and(|referrer| {
            (&referrer.media_type, referrer.length_bytes) == (&manifest.media_type, manifest.length_bytes)
        });
        audit.expect(same, EDGES, || format!("{repository}: {subject} does not know its referrer {digest} as it is"));
    }
    let tags = audit.count::<ManifestTags, (RepositoryName, Digest)>((repository, digest))?;
    audit.expect(manifest.tags == tags, "a manifest's tags are counted exactly", || {
        format!("{repository}@{digest} counts {}, there are {tags}", manifest.tags)
    });
    Ok(())
}

/// It is listed as unheld exactly while neither a tag nor an index nor a subject holds it, and is in the garbage queue
/// exactly while it is listed and may go.
fn held<S: State>(
    audit: &mut Audit<'_, S>,
    repository: RepositoryName,
    digest: Digest,
    manifest: &ManifestRecord,
) -> Result<(), StateError> {
    let listed = audit.count::<ManifestParents, (RepositoryName, Digest)>((&repository, &digest))? > 0;
    let referring = match &manifest.subject {
        Some(subject) => audit.contains::<Manifests>((&repository, subject))?,
        None => false,
    };
    let free = manifest.tags == 0 && !listed && !referring;
    let unheld = audit.get::<UnheldManifests>((&repository, &digest))?;
    audit.expect(unheld.is_some() == free, UNHELD, || {
        format!("{repository}@{digest} is listed as {unheld:?}, something holds it: {}", !free)
    });
    let collected = match &unheld {
        None => Some(false),
        Some(unheld) => collected(audit, &repository, unheld)?,
    };
    let item = GarbageItem::Manifest { repository, digest, generation: manifest.generation };
    match collected {
        Some(collected) => audit.expect_queued(&item, collected),
        None => Ok(()),
    }
}

/// Whether such a manifest goes; `None` while it is still to be looked at under a changed policy.
fn collected<S: State>(
    audit: &mut Audit<'_, S>,
    repository: &RepositoryName,
    unheld: &UnheldRecord,
) -> Result<Option<bool>, StateError> {
    for prefix in prefixes(repository) {
        if audit.contains::<PolicyWalks>(&prefix.to_owned())? {
            return Ok(None);
        }
    }
    let (policy, _) = apply::resolved(audit.state, repository)?;
    let kept = apply::keeps_unheld(audit.state, repository)?;
    Ok(Some(!kept && unheld_deadline(unheld, &policy).is_some()))
}

/// Every edge begins at a manifest that names its end.
fn edges_back<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<ManifestContents>(|audit, (repository, digest), _| {
        let known = audit.contains::<Manifests>((&repository, &digest))?;
        audit.expect(known, "a manifest has its bytes", || format!("{repository}@{digest} has bytes and no record"));
        Ok(())
    })?;
    audit.each::<UnheldManifests>(|audit, (repository, digest), _| {
        let known = audit.contains::<Manifests>((&repository, &digest))?;
        audit.expect(known, UNHELD, || format!("{repository}@{digest} is listed and not there"));
        Ok(())
    })?;
    audit.each::<Pulls>(|audit, (repository, digest), _| {
        let known = audit.contains::<Manifests>((&repository, &digest))?;
        audit.expect(known, "only manifests that exist were pulled", || format!("{repository}@{digest}"));
        Ok(())
    })?;
    audit.each::<ManifestUses>(|audit, (repository, blob, digest), ()| {
        let user = audit.get::<Manifests>((&repository, &digest))?;
        let uses = user.is_some_and(|manifest| manifest.blobs.contains(&blob));
        audit.expect(uses, EDGES, || format!("{repository}: {digest} does not use {blob}"));
        let linked = audit.contains::<Links>((&repository, &blob))?;
        audit.expect(linked, EDGES, || format!("{repository}: {blob} is used by {digest} and not linked"));
        Ok(())
    })?;
    audit.each::<ManifestParents>(|audit, (repository, child, digest), ()| {
        let index = audit.get::<Manifests>((&repository, &digest))?;
        let lists = index.is_some_and(|manifest| manifest.children.contains(&child));
        audit.expect(lists, EDGES, || format!("{repository}: {digest} does not list {child}"));
        Ok(())
    })?;
    audit.each::<Referrers>(|audit, (repository, subject, digest), _| {
        let referrer = audit.get::<Manifests>((&repository, &digest))?;
        let refers = referrer.is_some_and(|manifest| manifest.subject == Some(subject));
        audit.expect(refers, EDGES, || format!("{repository}: {digest} does not refer to {subject}"));
        Ok(())
    })?;
    audit.each::<ManifestTags>(|audit, (repository, digest, tag), ()| {
        let points = audit.get::<Tags>((&repository, &tag))?.is_some_and(|record| record.digest == digest);
        audit.expect(points, EDGES, || format!("{repository}:{tag} does not point to {digest}"));
        Ok(())
    })
}

fn tagged<S: State>(
    audit: &mut Audit<'_, S>,
    repository: &RepositoryName,
    tag: &Tag,
    record: &TagRecord,
) -> Result<(), StateError> {
    let digest = record.digest;
    let there = audit.contains::<Manifests>((repository, &digest))?;
    audit.expect(there, TAGS, || format!("{repository}:{tag} points to {digest}, which is not there"));
    let back = audit.contains::<ManifestTags>((repository, &digest, tag))?;
    audit.expect(back, EDGES, || format!("{repository}@{digest} does not know of its tag {tag}"));
    let known = audit.contains::<Repositories>(repository)?;
    audit.expect(known, COUNTS, || format!("{repository} is not there and has the tag {tag}"));
    let clock = audit.clock;
    audit.expect(record.sequence < clock.next_sequence, "a tag's event was given out", || {
        format!("{repository}:{tag} names event {}, the next one is {}", record.sequence, clock.next_sequence)
    });
    if (clock.first_sequence..clock.next_sequence).contains(&record.sequence) {
        let event = audit.get::<Feed>(&record.sequence)?.map(|event| event.kind);
        let set = matches!(&event, Some(EventKind::TagSet { tag: set, digest: to, .. }) if set == tag && *to == digest);
        audit.expect(set, "a tag's event set it", || format!("{repository}:{tag} of {digest} was set by {event:?}"));
    }
    Ok(())
}

fn repository<S: State>(
    audit: &mut Audit<'_, S>,
    name: &RepositoryName,
    record: &RepositoryRecord,
) -> Result<(), StateError> {
    let mut found = RepositoryRecord { created: record.created, ..RepositoryRecord::default() };
    found.manifests = audit.count::<Manifests, RepositoryName>(name)?;
    found.tags = audit.count::<Tags, RepositoryName>(name)?;
    audit.each_of::<Links, RepositoryName>(name, |audit, (_, digest), _| {
        found.links += 1;
        found.linked_bytes += audit.get::<Blobs>(&digest)?.map_or(0, |blob| blob.length_bytes);
        Ok(())
    })?;
    audit.expect(*record == found, COUNTS, || format!("{name} counts {record:?}, there are {found:?}"));
    let empty = found.manifests + found.tags + found.links == 0;
    audit.expect(!empty, "a repository without content is gone", || name.to_string());
    Ok(())
}
