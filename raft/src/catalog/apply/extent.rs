//! Extents: put in place, replaced, discarded, with the placement index and the list of shortfalls kept exact.

use std::collections::BTreeSet;

use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};
use storage::switch;

use super::context::{Context, subtract};
use super::{placement, redundancy};
use crate::catalog::command::Shortfall;
use crate::catalog::layout::{CodedExtent, DiscardRecord, ExtentBody, ExtentRecord, ShardLocation};
use crate::catalog::limit::DISCARD_GRACE_SECONDS;
use crate::catalog::table::{Discards, Extents, Objects};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// Whether the bytes of an extent and what is said to be missing fit together; the message says why not.
pub(super) fn check(body: &ExtentBody, shortfall: Option<&Shortfall>) -> Result<(), String> {
    match body {
        ExtentBody::Inline(bytes) if bytes.is_empty() => Err("an extent without bytes".to_owned()),
        ExtentBody::Inline(_) if shortfall.is_some() => Err("an inline extent lacks no shards".to_owned()),
        ExtentBody::Inline(_) => Ok(()),
        ExtentBody::Coded(coded) => check_coded(coded, shortfall),
    }
}

/// The same for a coded extent.
pub(super) fn check_coded(coded: &CodedExtent, shortfall: Option<&Shortfall>) -> Result<(), String> {
    let geometry = &coded.geometry;
    let shards = geometry.profile.shards();
    if geometry.length_bytes == 0 || geometry.block_size_bytes == 0 {
        return Err("an extent without bytes".to_owned());
    }
    if coded.shards.len() != shards {
        return Err(format!("profile {} with {} shard locations", geometry.profile, coded.shards.len()));
    }
    if coded.shards.iter().any(|location| location.attempt != coded.attempt) {
        return Err("new shards that another attempt wrote".to_owned());
    }
    let disks: BTreeSet<_> = coded.shards.iter().map(ShardLocation::on).collect();
    if disks.len() < shards {
        return Err("two shards of an extent on one disk".to_owned());
    }
    shortfall.map_or(Ok(()), |shortfall| check_missing(shards, shortfall))
}

/// Whether the missing shards are shards of the extent, in order, and the reason is one for them.
pub(super) fn check_missing(shards: usize, shortfall: &Shortfall) -> Result<(), String> {
    let ascending = shortfall.missing.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = shortfall.missing.iter().all(|shard| usize::from(shard.0) < shards);
    if !(ascending && inside) {
        return Err(format!("missing shards {:?} of {shards}", shortfall.missing));
    }
    if shortfall.missing.is_empty() != shortfall.reason.is_weakness() {
        let count = shortfall.missing.len();
        return Err(format!("{} with {count} missing shards", shortfall.reason.name()));
    }
    Ok(())
}

/// Whether an attempt is new to an extent: what is discarded must not be named like what takes its place.
pub(super) fn check_fresh(present: &CodedExtent, attempt: Attempt) -> Result<(), String> {
    if attempt == present.attempt || present.shards.iter().any(|location| location.attempt == attempt) {
        return Err("an attempt that the extent has already".to_owned());
    }
    Ok(())
}

/// Whether new shards can take the place of an extent's present ones.
pub(super) fn check_replacement(present: &CodedExtent, body: &CodedExtent) -> Result<(), String> {
    check_fresh(present, body.attempt)?;
    if body.geometry.length_bytes != present.geometry.length_bytes {
        return Err("an extent replaced by one of another length".to_owned());
    }
    Ok(())
}

/// Puts an extent in place.
pub(super) fn install(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    record: &ExtentRecord,
    shortfall: Option<Shortfall>,
) -> Result<(), ApplyError> {
    Extents::put(context.state, (&object, &index), record);
    let ExtentBody::Coded(coded) = &record.body else { return Ok(()) };
    for (shard, location) in coded.numbered() {
        placement::add(context, object, index, coded, shard, location)?;
    }
    if let Some(shortfall) = shortfall.filter(|_| !switch::broken("catalog.extent.forget_shortfall")) {
        redundancy::enlist(context, object, index, coded, &shortfall)?;
    }
    Ok(())
}

/// Puts new shards in the place of the old ones, which are discarded. The caller has checked that they fit.
pub(super) fn replace(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    body: CodedExtent,
    shortfall: Option<Shortfall>,
) -> Result<(), ApplyError> {
    let present = Extents::require(context.state, (&object, &index))?;
    let ExtentBody::Coded(old) = &present.body else {
        return Err(inconsistent("extent", "an inline extent was to be replaced by shards"));
    };
    discard_shards(context, object, index, old)?;
    let record = ExtentRecord { offset_bytes: present.offset_bytes, body: ExtentBody::Coded(body) };
    install(context, object, index, &record, shortfall)
}

/// Discards an object with all its extents and returns how many there were: the cost of ending a large upload.
pub(super) fn discard_object(context: &mut Context<'_, '_>, object: ObjectId) -> Result<usize, ApplyError> {
    let extents = Extents::scan::<ObjectId>(context.state, &object, None, usize::MAX)?;
    for ((_, index), record) in &extents {
        if let ExtentBody::Coded(coded) = &record.body {
            discard_shards(context, object, *index, coded)?;
        }
        Extents::delete(context.state, (&object, index));
    }
    Objects::delete(context.state, &object);
    Ok(extents.len())
}

fn discard_shards(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    coded: &CodedExtent,
) -> Result<(), ApplyError> {
    redundancy::delist(context, object, index, coded)?;
    for (shard, location) in coded.numbered() {
        placement::remove(context, object, index, coded, shard, location)?;
    }
    let shards = coded.numbered().map(|(shard, location)| (shard, *location)).collect();
    discard(context, object, index, coded, shards)
}

/// Has shards of a layout unlinked, once no reader can hold them. A layout is left once.
pub(super) fn discard(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    layout: &CodedExtent,
    shards: Vec<(ShardIndex, ShardLocation)>,
) -> Result<(), ApplyError> {
    let not_before = context.now.plus_seconds(DISCARD_GRACE_SECONDS);
    let key = (&not_before, &object, &index, &layout.attempt);
    match Discards::get(context.state, key)? {
        Some(present) => subtract(&mut context.totals.discarded_bytes, present.bytes, "discarded bytes")?,
        None => context.totals.discards += 1,
    }
    let bytes = layout.geometry.shard_length_bytes().saturating_mul(shards.len() as u64);
    context.totals.discarded_bytes += bytes;
    Discards::put(context.state, key, &DiscardRecord { shards, bytes });
    Ok(())
}
