//! What cannot be read, by the names that people know, page by page.

use std::sync::Arc;

use http::StatusCode;
use raft::catalog::{BlobUse, Damage, ShortfallKey, View};
use raft::time::Timestamp;
use storage::shard::{ExtentIndex, ObjectId};

use super::router::Admin;
use super::types::VERSION;
use super::upkeep_types::{DamageAnswer, DamagedExtent, DamagedUse};

/// Extents in one page.
const PAGE: usize = 50;

/// The page behind `after`, as a quorum confirms it.
pub(super) async fn page(admin: &Admin, after: Option<&str>) -> Result<DamageAnswer, (StatusCode, String)> {
    let after = match after {
        None => None,
        Some(text) => Some(cursor(text).ok_or((StatusCode::BAD_REQUEST, format!("{text:?} is no place to go on")))?),
    };
    let catalog = Arc::clone(&admin.collector.catalog);
    catalog.read_barrier().await.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let looked = admin.departures.exec.run(move || View::new(catalog.state()).damaged(after.as_ref(), PAGE)).await;
    let damaged = looked.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let next = damaged.last().filter(|_| damaged.len() == PAGE).map(|last| place(&last.key));
    Ok(DamageAnswer { version: VERSION, damaged: damaged.iter().map(extent).collect(), next })
}

fn extent(damage: &Damage) -> DamagedExtent {
    let mut causes: Vec<String> =
        damage.shortfall.missing.iter().map(|missing| missing.cause.name().to_owned()).collect();
    causes.sort_unstable();
    causes.dedup();
    DamagedExtent {
        object: hex::encode(damage.key.object.0),
        extent: damage.key.extent.0,
        digest: damage.digest.as_ref().map(ToString::to_string),
        causes,
        since_milliseconds: damage.key.since.0,
        uses: damage.uses.iter().map(used).collect(),
        more: damage.more,
    }
}

fn used(used: &BlobUse) -> DamagedUse {
    DamagedUse {
        repository: used.repository.to_string(),
        manifest: used.manifest.as_ref().map(ToString::to_string),
        tags: used.names.tags.iter().map(ToString::to_string).collect(),
        indexes: used.names.indexes.iter().map(ToString::to_string).collect(),
        more: used.names.more,
    }
}

/// A place in the list as text.
fn place(key: &ShortfallKey) -> String {
    format!("{}-{}-{}-{}", key.spare, key.since.0, hex::encode(key.object.0), key.extent.0)
}

fn cursor(text: &str) -> Option<ShortfallKey> {
    let mut parts = text.split('-');
    let spare = parts.next()?.parse().ok()?;
    let since = Timestamp(parts.next()?.parse().ok()?);
    let mut object = [0; 16];
    hex::decode_to_slice(parts.next()?, &mut object).ok()?;
    let extent = ExtentIndex(parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(ShortfallKey { spare, since, object: ObjectId(object), extent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_survives_as_text() {
        let key = ShortfallKey { spare: 255, since: Timestamp(7), object: ObjectId([3; 16]), extent: ExtentIndex(9) };
        assert_eq!(cursor(&place(&key)), Some(key));
        assert_eq!(cursor("255-7"), None);
        assert_eq!(cursor(""), None);
    }
}
