//! The list of extents below their redundancy, in order of danger, and the replacement of their shards.

use std::collections::BTreeMap;

use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

use super::context::{Context, subtract};
use super::{extent, malformed};
use crate::catalog::command::{ShardMove, Shortfall};
use crate::catalog::layout::{CodedExtent, ExtentBody};
use crate::catalog::response::Response;
use crate::catalog::shortfall::{MissingShard, ShortfallKey, ShortfallReason, ShortfallRecord};
use crate::catalog::table::{Extents, ShortfallOrder, Shortfalls};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

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
    shortfall: &Shortfall,
) -> Result<Response, ApplyError> {
    let Some(present) = coded(context, object, index)? else { return Ok(Response::Stale) };
    if present.attempt != attempt {
        return Ok(Response::Stale);
    }
    if let Err(message) = extent::check_missing(present.shards.len(), shortfall) {
        return Ok(malformed(message));
    }
    enlist(context, object, index, &present, shortfall)?;
    Ok(Response::Done)
}

/// Takes back that an extent is weak, if its layout is still the one that was judged.
pub(super) fn accept(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    expected: Attempt,
) -> Result<Response, ApplyError> {
    let Some(extent) = coded(context, object, index)?.filter(|extent| extent.attempt == expected) else {
        return Ok(Response::Stale);
    };
    if let Some(present) = Shortfalls::get(context.state, (&object, &index))? {
        let record = ShortfallRecord { weak: None, ..present.clone() };
        set(context, object, index, &extent, Some(&present), &extent, &record)?;
    }
    Ok(Response::Done)
}

/// Adds to what an extent lacks. The first time stays; so does the first cause, unless it spoke of the shard's location
/// and the new one speaks of the shard itself.
pub(super) fn enlist(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    extent: &CodedExtent,
    shortfall: &Shortfall,
) -> Result<bool, ApplyError> {
    let present = Shortfalls::get(context.state, (&object, &index))?;
    let fresh = || ShortfallRecord { attempt: extent.attempt, missing: Vec::new(), weak: None, since: context.now };
    let mut record = present.clone().unwrap_or_else(fresh);
    if shortfall.reason.is_weakness() {
        record.weak = record.weak.or(Some(shortfall.reason));
    }
    let mut missing: BTreeMap<ShardIndex, ShortfallReason> =
        record.missing.iter().map(|missing| (missing.shard, missing.cause)).collect();
    for shard in &shortfall.missing {
        let cause = missing.entry(*shard).or_insert(shortfall.reason);
        if cause.is_of_location() && !shortfall.reason.is_of_location() {
            *cause = shortfall.reason;
        }
    }
    record.missing = missing.into_iter().map(|(shard, cause)| MissingShard { shard, cause }).collect();
    set(context, object, index, extent, present.as_ref(), extent, &record)
}

/// A shard is missing since its node or disk is. Returns whether that was new.
pub(super) fn lose(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    shard: ShardIndex,
    reason: ShortfallReason,
) -> Result<bool, ApplyError> {
    let Some(extent) = coded(context, object, index)? else {
        return Err(inconsistent("placement", "a disk should hold a shard of an extent that is not there"));
    };
    enlist(context, object, index, &extent, &Shortfall { missing: vec![shard], reason })
}

/// A shard that was missing for this reason is there again. Returns whether it was.
pub(super) fn regain(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    shard: ShardIndex,
    reason: ShortfallReason,
) -> Result<bool, ApplyError> {
    let Some(present) = Shortfalls::get(context.state, (&object, &index))? else { return Ok(false) };
    let Some(extent) = coded(context, object, index)? else {
        return Err(inconsistent("shortfall", "an extent lacks something and is not there"));
    };
    let mut record = present.clone();
    record.missing.retain(|missing| *missing != MissingShard { shard, cause: reason });
    set(context, object, index, &extent, Some(&present), &extent, &record)
}

/// Shards of an extent were moved: they are missing no more, and what else it lacks speaks of the new layout.
pub(super) fn moved(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    old: &CodedExtent,
    new: &CodedExtent,
    moves: &[ShardMove],
) -> Result<(), ApplyError> {
    let Some(present) = Shortfalls::get(context.state, (&object, &index))? else { return Ok(()) };
    let mut record = ShortfallRecord { attempt: new.attempt, ..present.clone() };
    record.missing.retain(|missing| moves.iter().all(|moved| moved.shard != missing.shard));
    set(context, object, index, old, Some(&present), new, &record)?;
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
        unplace(context, &place(object, index, extent, &record))?;
        Shortfalls::delete(context.state, (&object, &index));
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

/// Brings the list from one record of an extent to another one. An extent that lacks nothing leaves it. Returns whether
/// anything changed.
fn set(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    old: &CodedExtent,
    present: Option<&ShortfallRecord>,
    new: &CodedExtent,
    record: &ShortfallRecord,
) -> Result<bool, ApplyError> {
    if present == Some(record) {
        return Ok(false);
    }
    if let Some(present) = present {
        unplace(context, &place(object, index, old, present))?;
    }
    if record.missing.is_empty() && record.weak.is_none() {
        Shortfalls::delete(context.state, (&object, &index));
    } else {
        let key = place(object, index, new, record);
        ShortfallOrder::put(context.state, (&key.spare, &key.since, &key.object, &key.extent), &());
        Shortfalls::put(context.state, (&object, &index), record);
        context.totals.shortfalls += 1;
        *context.totals.shortfalls_by_spare.entry(key.spare).or_default() += 1;
    }
    Ok(true)
}

fn unplace(context: &mut Context<'_, '_>, key: &ShortfallKey) -> Result<(), ApplyError> {
    ShortfallOrder::delete(context.state, (&key.spare, &key.since, &key.object, &key.extent));
    subtract(&mut context.totals.shortfalls, 1, "shortfalls in total")?;
    let of_spare = context.totals.shortfalls_by_spare.entry(key.spare).or_default();
    subtract(of_spare, 1, "shortfalls by spare")?;
    if *of_spare == 0 {
        context.totals.shortfalls_by_spare.remove(&key.spare);
    }
    Ok(())
}

fn place(object: ObjectId, extent: ExtentIndex, coded: &CodedExtent, record: &ShortfallRecord) -> ShortfallKey {
    ShortfallKey { spare: record.spare(coded.geometry.profile.parity()), since: record.since, object, extent }
}

fn coded(context: &Context<'_, '_>, object: ObjectId, index: ExtentIndex) -> Result<Option<CodedExtent>, ApplyError> {
    Ok(Extents::get(context.state, (&object, &index))?.and_then(|record| record.body.into_coded()))
}
