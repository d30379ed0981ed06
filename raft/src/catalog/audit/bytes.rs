//! What blobs consist of: objects, extents, shards' places, what is missing of them, uploads, discards.

use std::collections::BTreeMap;

use storage::shard::{ExtentIndex, ObjectId, ShardIndex};

use super::Audit;
use crate::catalog::record::{
    CodedExtent, ExtentBody, ObjectRecord, ObjectState, PlacementRecord, ShortfallKey, ShortfallRecord,
};
use crate::catalog::table::{
    Blobs, Discards, Extents, Objects, ShardPlacements, ShortfallOrder, Shortfalls, UploadExpiries, Uploads,
};
use crate::machine::State;
use crate::table::StateError;

const PURPOSE: &str = "an object has its purpose";
const PLACEMENTS: &str = "placements are those of the extents";
const SHORTFALLS: &str = "shortfalls speak of extents as they are";
const EXPIRY: &str = "every upload expires";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let uploads = uploads(audit)?;
    audit.each::<Objects>(|audit, id, record| object(audit, id, &record, uploads.get(&id).copied().unwrap_or(0)))?;
    extents(audit)?;
    shortfalls(audit)?;
    audit.each::<Discards>(|audit, (_, object, extent, attempt), _| {
        let used = coded(audit, object, extent)?.is_some_and(|coded| coded.attempt == attempt);
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
        for (shard, place) in (0..).map(ShardIndex).zip(&coded.shards) {
            let found = audit.get::<ShardPlacements>((&place.node, &place.disk, &object, &index, &shard))?;
            let expected = PlacementRecord { attempt: coded.attempt };
            audit.expect(found == Some(expected), PLACEMENTS, || {
                format!("shard {} of extent {} of object {object}: {found:?}, not {expected:?}", shard.0, index.0)
            });
        }
        Ok(())
    })?;
    audit.each::<ShardPlacements>(|audit, (node, disk, object, index, shard), placement| {
        let coded = coded(audit, object, index)?;
        let meant = coded.is_some_and(|coded| {
            let place = coded.shards.get(usize::from(shard.0));
            coded.attempt == placement.attempt && place.is_some_and(|place| (place.node, place.disk) == (node, disk))
        });
        audit.expect(meant, PLACEMENTS, || {
            format!("disk {disk} should hold shard {} of extent {} of object {object}: why?", shard.0, index.0)
        });
        Ok(())
    })
}

fn shortfalls<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<Shortfalls>(|audit, (object, index), record| {
        let coded = coded(audit, object, index)?;
        let key = coded.as_ref().map(|coded| (spare(coded, &record), record.since, object, index));
        let listed = match &key {
            Some((spare, since, object, index)) => audit.contains::<ShortfallOrder>((spare, since, object, index))?,
            None => false,
        };
        let same = coded.is_some_and(|coded| coded.attempt == record.attempt);
        let sorted = record.missing.windows(2).all(|pair| pair[0] < pair[1]);
        audit.expect(same && listed && sorted, SHORTFALLS, || {
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
    let spare = coded.geometry.profile.parity().checked_sub(shortfall.missing.len());
    spare.and_then(|spare| u8::try_from(spare).ok()).unwrap_or(ShortfallKey::LOST)
}
