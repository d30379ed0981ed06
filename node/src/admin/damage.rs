//! What cannot be read, by the names that people know, page by page: `POST /damage` has the extents, `/damage/uses` what
//! uses a blob, `/damage/names` the names of a manifest that has many.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use raft::catalog::{BlobUse, Damage, Digest, ManifestNames, RepositoryName, ShortfallKey, StateError, Tag, View};

use raft::time::Timestamp;
use serde::Serialize;
use storage::kv::Engine;
use storage::shard::{ExtentIndex, ObjectId};

use super::damage_types::{
    DamageAnswer, DamageRequest, DamagedExtent, DamagedUse, NameKind, NamesAnswer, NamesRequest, UsePlace, UsesAnswer,
    UsesRequest,
};
use super::router::{Admin, refuse};
use super::types::VERSION;

/// Extents, uses or names in one page.
const PAGE: usize = 100;

/// A catalog as it is looked at here.
type Catalog = View<Arc<dyn Engine>>;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/damage", post(damage)).route("/damage/uses", post(uses)).route("/damage/names", post(names))
}

async fn damage(State(admin): State<Admin>, Json(request): Json<DamageRequest>) -> Response {
    let after = match request.after.as_deref().map(|text| cursor(text).ok_or(text)).transpose() {
        Ok(after) => after,
        Err(text) => return unknown("place to go on", text),
    };
    page(&admin, move |view| {
        let damaged = view.damaged(after.as_ref(), PAGE)?;
        let next = damaged.last().filter(|_| damaged.len() == PAGE).map(|last| place(&last.key));
        Ok(DamageAnswer { version: VERSION, damaged: damaged.iter().map(extent).collect(), next })
    })
    .await
}

async fn uses(State(admin): State<Admin>, Json(request): Json<UsesRequest>) -> Response {
    let Ok(digest) = request.digest.parse::<Digest>() else { return unknown("digest", &request.digest) };
    let after = match request.after.as_ref().map(|place| used_at(place).ok_or(&place.repository)).transpose() {
        Ok(after) => after,
        Err(text) => return unknown("place to go on", text),
    };
    page(&admin, move |view| {
        let uses = view.blob_uses(&digest, after.as_ref(), PAGE)?;
        let next = uses.last().filter(|_| uses.len() == PAGE).map(|last| UsePlace {
            repository: last.repository.to_string(),
            manifest: last.manifest.as_ref().map(ToString::to_string),
        });
        Ok(UsesAnswer { version: VERSION, uses: uses.iter().map(used).collect(), next })
    })
    .await
}

async fn names(State(admin): State<Admin>, Json(request): Json<NamesRequest>) -> Response {
    let Ok(repository) = request.repository.parse::<RepositoryName>() else {
        return unknown("repository", &request.repository);
    };
    let Ok(manifest) = request.manifest.parse::<Digest>() else { return unknown("digest", &request.manifest) };
    let after = request.after.as_deref().unwrap_or_default();
    match request.kind {
        NameKind::Tags => {
            let Ok(after) = request.after.as_deref().map(str::parse::<Tag>).transpose() else {
                return unknown("tag", after);
            };
            page(&admin, move |view| Ok(named(&view.tags_of(&repository, &manifest, after.as_ref(), PAGE)?))).await
        }
        NameKind::Indexes => {
            let Ok(after) = request.after.as_deref().map(str::parse::<Digest>).transpose() else {
                return unknown("digest", after);
            };
            page(&admin, move |view| Ok(named(&view.parents(&repository, &manifest, after.as_ref(), PAGE)?))).await
        }
    }
}

fn unknown(what: &str, text: &str) -> Response {
    refuse(StatusCode::BAD_REQUEST, format!("{text:?} is no {what}"))
}

/// A page of the catalog as a quorum confirms it.
async fn page<A: Serialize + Send + 'static>(
    admin: &Admin,
    look: impl FnOnce(&Catalog) -> Result<A, StateError> + Send + 'static,
) -> Response {
    let catalog = Arc::clone(&admin.collector.catalog);
    if let Err(error) = catalog.read_barrier().await {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    }
    match admin.departures.exec.run(move || look(&View::new(catalog.state()))).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
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

fn named<N: ToString>(names: &[N]) -> NamesAnswer {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let next = names.last().filter(|_| names.len() == PAGE).cloned();
    NamesAnswer { version: VERSION, names, next }
}

/// A use to go on behind.
fn used_at(place: &UsePlace) -> Option<BlobUse> {
    let manifest = place.manifest.as_deref().map(str::parse).transpose().ok()?;
    Some(BlobUse { repository: place.repository.parse().ok()?, manifest, names: ManifestNames::default() })
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

    #[test]
    fn a_full_page_is_gone_on_with() {
        let names: Vec<usize> = (0..PAGE).collect();
        assert_eq!(named(&names).next.as_deref(), Some("99"));
        assert_eq!(named(&names[1..]).next, None);
    }
}
