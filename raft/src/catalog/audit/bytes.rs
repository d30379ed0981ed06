//! What blobs consist of: objects, extents, shards' places, what is missing of them, uploads, discards.

use std::collections::{BTreeMap, BTreeSet};

use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardIndex};

use super::Audit;
use crate::catalog::layout::{CodedExtent, ExtentBody, PlacementRecord, PlacementTotals as DiskTotals, ShardLocation};
use crate::catalog::record::{ObjectRecord, ObjectState};
use crate::catalog::shortfall::{ShortfallReason, ShortfallRecord};
use crate::catalog::table::{
    Blobs, Discards, Extents, Objects, PlacementTotals, RepositoryUploads, ShardPlacements, ShortfallOrder, Shortfalls,
    UploadExpiries, Uploads,
};
use crate::id::NodeId;
use crate::machine::State;
use crate::table::StateError;

const PURPOSE: &str = "an object has its purpose";
const PLACEMENTS: &str = "placements are those of the extents";
const TOTALS: &str = "the totals of each disk are exact";
const SHORTFALLS: &str = "shortfalls speak of extents as they are";
const EXPIRY: &str = "every upload expires";
const SESSIONS: &str = "a repository knows of its sessions";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let uploads = uploads(audit)?;
    audit.each::<Objects>(|audit, id, record| object(audit, id, &record, uploads.get(&id).copied().unwrap_or(0)))?;
    extents(audit)?;
    shortfalls(audit)?;
    audit.each::<Discards>(|audit, (_, object, extent, attempt), record| {
        let coded = coded(audit, object, extent)?;
        let used = coded.is_some_and(|coded| {
            let kept = |(shard, location): &(ShardIndex, ShardLocation)| coded.location(*shard) == Some(location);
            coded.attempt == attempt || record.shards.iter().any(kept)
        });
        audit.expect(!used, "what is about to be unlinked is not in use", || {
            format!("extent {} of object {object}, attempt {:016x}", extent.0, attempt.0)
        });
        Ok(())
    })
}

fn coded<S: State>(
    audit: &Audit<'_, S>,
    object: ObjectId,
    extent: ExtentIndex,
) -> Result<Option<CodedExtent>, StateError> {
    Ok(match audit.get::<Extents>((&object, &extent))?.map(|record| record.body) {
        Some(ExtentBody::Coded(coded)) => Some(coded),
        _ => None,
    })
}

/// Checks the sessions, and returns how many open ones each object has.
fn uploads<S: State>(audit: &mut Audit<'_, S>) -> Result<BTreeMap<ObjectId, u64>, StateError> {
    let mut open = BTreeMap::new();
    audit.each::<Uploads>(|audit, id, record| {
        let expires = audit.contains::<UploadExpiries>((&record.expires, &id))?;
        audit.expect(expires, EXPIRY, || format!("session {id} at {} is not listed", record.expires.0));
        let listed = audit.contains::<RepositoryUploads>((&record.repository, &id))?;
        audit.expect(listed, SESSIONS, || format!("{} does not know of session {id}", record.repository));
        if record.finished.is_none() {
            *open.entry(record.object).or_default() += 1;
            let length = audit.get::<Objects>(&record.object)?.map(|object| object.length_bytes);
            let offset = record.position.offset_bytes;
            audit.expect(length == Some(offset), "an upload stands at the end of its object", || {
                format!("session {id} stands at {offset}, object {} ends at {length:?}", record.object)
            });
        }
        Ok(())
    })?;
    audit.each::<UploadExpiries>(|audit, (expires, id), ()| {
        let same = audit.get::<Uploads>(&id)?.is_some_and(|record| record.expires == expires);
        audit.expect(same, EXPIRY, || format!("session {id} is listed at {}", expires.0));
        Ok(())
    })?;
    audit.each::<RepositoryUploads>(|audit, (repository, id), ()| {
        let own = audit.get::<Uploads>(&id)?.is_some_and(|record| record.repository == repository);
        audit.expect(own, SESSIONS, || format!("{repository} has no session {id}"));
        Ok(())
    })?;
    Ok(open)
}

fn object<S: State>(
    audit: &mut Audit<'_, S>,
    id: ObjectId,
    record: &ObjectRecord,
    sessions: u64,
) -> Result<(), StateError> {
    let (mut count, mut length) = (0, 0);
    audit.each_of::<Extents, ObjectId>(&id, |audit, (_, index), extent| {
        let follows = (index.0, extent.offset_bytes) == (count, length);
        audit.expect(follows, "extents follow each other", || {
            format!("extent {} of object {id} begins at {}, not at {length}", index.0, extent.offset_bytes)
        });
        count += 1;
        length += extent.body.length_bytes();
        Ok(())
    })?;
    audit.expect(
        (record.extents, record.length_bytes) == (count, length),
        "an object is the sum of its extents",
        || {
            let (extents, bytes) = (record.extents, record.length_bytes);
            format!("object {id} counts {extents} extents of {bytes} bytes, there are {count} of {length}")
        },
    );
    match &record.state {
        ObjectState::Published(digest) => {
            let own = audit.get::<Blobs>(digest)?.is_some_and(|blob| blob.object == id);
            audit.expect(own, PURPOSE, || format!("object {id} is published as {digest}, which has another one"));
        }
        ObjectState::Uploading => {
            audit.expect(sessions == 1, PURPOSE, || format!("object {id} is uploaded by {sessions} sessions"));
        }
    }
    Ok(())
}

fn extents<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<Extents>(|audit, (object, index), record| {
        let known = audit.contains::<Objects>(&object)?;
        audit.expect(known, PURPOSE, || format!("extent {} belongs to object {object}, which is not there", index.0));
        let ExtentBody::Coded(coded) = record.body else { return Ok(()) };
        let shards = coded.geometry.profile.shards();
        audit.expect(coded.shards.len() == shards, PLACEMENTS, || {
            format!("extent {} of object {object} has {} places for {shards} shards", index.0, coded.shards.len())
        });
        let disks: BTreeSet<_> = coded.shards.iter().map(ShardLocation::on).collect();
        audit.expect(disks.len() == coded.shards.len(), "no two shards of an extent share a disk", || {
            format!("extent {} of object {object} has {shards} shards on {} disks", index.0, disks.len())
        });
        for (shard, place) in coded.numbered() {
            let found = audit.get::<ShardPlacements>((&place.node, &place.disk, &object, &index, &shard))?;
            let expected = PlacementRecord { attempt: place.attempt };
            audit.expect(found == Some(expected), PLACEMENTS, || {
                format!("shard {} of extent {} of object {object}: {found:?}, not {expected:?}", shard.0, index.0)
            });
        }
        Ok(())
    })?;
    let mut disks: BTreeMap<(NodeId, DiskId), DiskTotals> = BTreeMap::new();
    audit.each::<ShardPlacements>(|audit, (node, disk, object, index, shard), placement| {
        let coded = coded(audit, object, index)?;
        let totals = disks.entry((node, disk)).or_default();
        totals.shards += 1;
        totals.bytes += coded.as_ref().map_or(0, |coded| coded.geometry.shard_length_bytes());
        let place = ShardLocation { node, disk, attempt: placement.attempt };
        let meant = coded.is_some_and(|coded| coded.location(shard) == Some(&place));
        audit.expect(meant, PLACEMENTS, || {
            format!("disk {disk} should hold shard {} of extent {} of object {object}: why?", shard.0, index.0)
        });
        Ok(())
    })?;
    audit.each::<PlacementTotals>(|audit, (node, disk), kept| {
        let found = disks.remove(&(node, disk)).unwrap_or_default();
        audit.expect(kept == found, TOTALS, || {
            format!("disk {disk} of node {node} should hold {found:?}, its totals say {kept:?}")
        });
        Ok(())
    })?;
    let unknown = disks.keys().next().copied();
    audit.expect(unknown.is_none(), TOTALS, || format!("{unknown:?} holds shards and has no totals"));
    Ok(())
}

fn shortfalls<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<Shortfalls>(|audit, (object, index), record| {
        let coded = coded(audit, object, index)?;
        let key = coded.as_ref().map(|coded| (spare(coded, &record), record.since, object, index));
        let listed = match &key {
            Some((spare, since, object, index)) => audit.contains::<ShortfallOrder>((spare, since, object, index))?,
            None => false,
        };
        let same = coded.is_some_and(|coded| {
            let inside = record.missing.iter().all(|missing| coded.location(missing.shard).is_some());
            coded.attempt == record.attempt && inside
        });
        let sorted = record.missing.windows(2).all(|pair| pair[0].shard < pair[1].shard);
        let lacking = !record.missing.is_empty() || record.weak.is_some();
        let reasons = record.missing.iter().all(|missing| !missing.cause.is_weakness())
            && record.weak.is_none_or(ShortfallReason::is_weakness);
        audit.expect(same && listed && sorted && lacking && reasons, SHORTFALLS, || {
            format!("extent {} of object {object}: {record:?}, listed {listed}", index.0)
        });
        Ok(())
    })?;
    audit.each::<ShortfallOrder>(|audit, (listed, since, object, index), ()| {
        let record = audit.get::<Shortfalls>((&object, &index))?;
        let coded = coded(audit, object, index)?;
        let place = coded.zip(record).map(|(coded, record)| (spare(&coded, &record), record.since));
        audit.expect(place == Some((listed, since)), SHORTFALLS, || {
            format!("extent {} of object {object} is listed with {listed} spare shards: why?", index.0)
        });
        Ok(())
    })
}

/// Shards that the extent can still lose.
fn spare(coded: &CodedExtent, shortfall: &ShortfallRecord) -> u8 {
    shortfall.spare(coded.geometry.profile.parity())
}
