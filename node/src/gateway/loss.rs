//! Whether the bytes of an object are lost. Who would push such a blob is told that it is not there: clients upload only
//! what a HEAD does not find, and the upload heals it.

use raft::catalog::{ShortfallKey, ShortfallReason};
use storage::shard::ObjectId;

use super::catalog::CatalogError;
use super::core::Core;

/// A loss counts once it is known for so long: shards that are damaged in different places can be read together, and are
/// rebuilt meanwhile.
const CERTAIN_AFTER_SECONDS: u64 = 30;

/// Whether more shards of an extent are gone than its profile bears. What is only away, and back by now, is not gone.
pub(super) fn is_lost(core: &Core, object: ObjectId) -> Result<bool, CatalogError> {
    let view = core.records.view();
    // Nothing at all is lost, mostly.
    if view.totals()?.shortfalls_by_spare.get(&ShortfallKey::LOST).is_none_or(|extents| *extents == 0) {
        return Ok(false);
    }
    let (survey, now) = (core.roster.survey(), view.clock()?);
    for (extent, shortfall) in view.shortfalls_of(object)? {
        let Some(coded) = view.extent(object, extent)?.and_then(|record| record.body.into_coded()) else { continue };
        let is_known = shortfall.attempt == coded.attempt && now >= shortfall.since.plus_seconds(CERTAIN_AFTER_SECONDS);
        let gone = shortfall.missing.iter().filter(|missing| match missing.cause {
            // A disk that did not answer may do so the next time.
            ShortfallReason::ReadFailed => false,
            cause if cause.is_of_location() => {
                coded.location(missing.shard).is_none_or(|location| !survey.is_sound(location.on()))
            }
            _ => true,
        });
        if is_known && gone.count() > coded.geometry.profile.parity() {
            return Ok(true);
        }
    }
    Ok(false)
}
