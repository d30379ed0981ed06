//! The placement index, and the totals of each disk, kept exact with it.

use storage::shard::{ExtentIndex, ObjectId, ShardIndex};

use super::context::{Context, subtract};
use crate::catalog::layout::{CodedExtent, PlacementRecord, PlacementTotals as Totals, ShardLocation};
use crate::catalog::table::{PlacementTotals, ShardPlacements};
use crate::machine::ApplyError;
use crate::table::Table;

/// A disk should hold a shard of an extent from now on.
pub(super) fn add(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    coded: &CodedExtent,
    shard: ShardIndex,
    location: &ShardLocation,
) -> Result<(), ApplyError> {
    let ShardLocation { node, disk, attempt } = location;
    let key = (node, disk, &object, &index, &shard);
    ShardPlacements::put(context.state, key, &PlacementRecord { attempt: *attempt });
    change(context, location, |totals| {
        totals.shards += 1;
        totals.bytes = totals.bytes.saturating_add(coded.geometry.shard_length_bytes());
        Ok(())
    })
}

/// A disk should hold it no more.
pub(super) fn remove(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    coded: &CodedExtent,
    shard: ShardIndex,
    location: &ShardLocation,
) -> Result<(), ApplyError> {
    ShardPlacements::delete(context.state, (&location.node, &location.disk, &object, &index, &shard));
    change(context, location, |totals| {
        subtract(&mut totals.shards, 1, "shards of a disk")?;
        subtract(&mut totals.bytes, coded.geometry.shard_length_bytes(), "bytes of a disk")
    })
}

fn change(
    context: &mut Context<'_, '_>,
    location: &ShardLocation,
    edit: impl FnOnce(&mut Totals) -> Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    let key = (&location.node, &location.disk);
    let mut totals = PlacementTotals::get(context.state, key)?.unwrap_or_default();
    edit(&mut totals)?;
    if totals == Totals::default() {
        PlacementTotals::delete(context.state, key);
    } else {
        PlacementTotals::put(context.state, key, &totals);
    }
    Ok(())
}
