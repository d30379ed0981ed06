//! The list of extents below their redundancy, in order of danger, and the replacement of their shards.

use std::collections::BTreeSet;

use storage::shard::{Attempt, ExtentIndex, ObjectId};

use super::context::{Context, subtract};
use super::{extent, malformed};
use crate::catalog::command::{Response, Shortfall};
use crate::catalog::record::{CodedExtent, ExtentBody, ShortfallKey, ShortfallRecord};
use crate::catalog::table::{Extents, ShortfallOrder, Shortfalls};
use crate::machine::ApplyError;
use crate::table::Table;

/// Puts new shards in the place of an extent's old ones, if those are still the expected ones. A repetition is
/// recognised by the new attempt.
pub(super) fn replace(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    expected: Attempt,
    body: CodedExtent,
    shortfall: Option<Shortfall>,
) -> Result<Response, ApplyError> {
    let Some(present) = coded(context, object, index)? else { return Ok(Response::Stale) };
    if present.attempt != expected {
        return Ok(if present == body { Response::Done } else { Response::Stale });
    }
    let fits = extent::check_coded(&body, shortfall.as_ref()).and_then(|()| extent::check_replacement(&present, &body));
    if let Err(message) = fits {
        return Ok(malformed(message));
    }
    extent::replace(context, object, index, body, shortfall)?;
    Ok(Response::Done)
}

/// Puts an extent on the list, or adds to what is known to be missing of it.
pub(super) fn report(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    attempt: Attempt,
    shortfall: Shortfall,
) -> Result<Response, ApplyError> {
    let Some(present) = coded(context, object, index)? else { return Ok(Response::Stale) };
    if present.attempt != attempt {
        return Ok(Response::Stale);
    }
    if let Err(message) = extent::check_missing(present.shards.len(), &shortfall) {
        return Ok(malformed(message));
    }
    enlist(context, object, index, &present, shortfall)?;
    Ok(Response::Done)
}

/// Adds what is missing to the list. The first cause and the first time stay.
pub(super) fn enlist(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    extent: &CodedExtent,
    shortfall: Shortfall,
) -> Result<(), ApplyError> {
    let record = match Shortfalls::get(context.state, (&object, &index))? {
        None => {
            let Shortfall { missing, reason } = shortfall;
            ShortfallRecord { attempt: extent.attempt, missing, reason, since: context.now }
        }
        Some(mut record) => {
            let all: BTreeSet<_> = record.missing.iter().copied().chain(shortfall.missing).collect();
            if all.len() == record.missing.len() {
                return Ok(());
            }
            delist(context, object, index, extent)?;
            record.missing = all.into_iter().collect();
            record
        }
    };
    let key = place(object, index, extent, &record);
    ShortfallOrder::put(context.state, (&key.spare, &key.since, &key.object, &key.extent), &());
    Shortfalls::put(context.state, (&object, &index), &record);
    context.totals.shortfalls += 1;
    Ok(())
}

/// Takes an extent off the list; one that is not on it is no error.
pub(super) fn delist(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    extent: &CodedExtent,
) -> Result<(), ApplyError> {
    if let Some(record) = Shortfalls::get(context.state, (&object, &index))? {
        let key = place(object, index, extent, &record);
        ShortfallOrder::delete(context.state, (&key.spare, &key.since, &key.object, &key.extent));
        Shortfalls::delete(context.state, (&object, &index));
        subtract(&mut context.totals.shortfalls, 1, "shortfalls in total")?;
    }
    Ok(())
}

/// Whether every extent of an object has its redundancy, and every coded one this parity at least.
pub(super) fn is_whole(context: &Context<'_, '_>, object: ObjectId, parity: u8) -> Result<bool, ApplyError> {
    if !Shortfalls::scan::<ObjectId>(context.state, &object, None, 1)?.is_empty() {
        return Ok(false);
    }
    let extents = Extents::scan::<ObjectId>(context.state, &object, None, usize::MAX)?;
    Ok(extents.iter().all(|(_, record)| match &record.body {
        ExtentBody::Inline(_) => true,
        ExtentBody::Coded(coded) => coded.geometry.profile.parity() >= usize::from(parity),
    }))
}

fn place(object: ObjectId, extent: ExtentIndex, coded: &CodedExtent, record: &ShortfallRecord) -> ShortfallKey {
    let spare = coded.geometry.profile.parity().checked_sub(record.missing.len());
    let spare = spare.and_then(|spare| u8::try_from(spare).ok()).unwrap_or(ShortfallKey::LOST);
    ShortfallKey { spare, since: record.since, object, extent }
}

fn coded(context: &Context<'_, '_>, object: ObjectId, index: ExtentIndex) -> Result<Option<CodedExtent>, ApplyError> {
    Ok(match Extents::get(context.state, (&object, &index))?.map(|record| record.body) {
        Some(ExtentBody::Coded(coded)) => Some(coded),
        Some(ExtentBody::Inline(_)) | None => None,
    })
}
