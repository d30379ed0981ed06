//! The paths of the local socket for regions: `GET /regions`, `POST /region/add`, `/region/set`, `/region/primary`,
//! `/region/retire`, `/region/release`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use raft::directory::{Refusal, RegionRecord};
use raft::id::RegionId;

use super::region_types::{RegionAnswer, RegionRequest, ReleaseAnswer, SetRegionRequest};
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::cluster::RegionError;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/regions", get(|State(admin): State<Admin>| async move { Json(admin.collector.regions().await) }))
        .route("/region/add", post(add))
        .route("/region/set", post(set))
        .route("/region/primary", post(primary))
        .route("/region/retire", post(retire))
        .route("/region/release", post(release))
}

async fn add(State(admin): State<Admin>, Json(RegionRequest { name }): Json<RegionRequest>) -> Response {
    answer(admin.region_changes.add(&name).await, name)
}

async fn set(State(admin): State<Admin>, Json(request): Json<SetRegionRequest>) -> Response {
    let SetRegionRequest { name, public_url, inbound_bytes_per_second } = request;
    let edit = |record: &mut RegionRecord| {
        if let Some(wanted) = public_url.clone() {
            record.public_url = wanted.value();
        }
        if let Some(wanted) = inbound_bytes_per_second {
            record.inbound_bytes_per_second = wanted.value();
        }
    };
    answer(admin.region_changes.set(&name, edit).await, name)
}

async fn primary(State(admin): State<Admin>, Json(RegionRequest { name }): Json<RegionRequest>) -> Response {
    answer(admin.region_changes.set_primary(&name).await, name)
}

async fn retire(State(admin): State<Admin>, Json(RegionRequest { name }): Json<RegionRequest>) -> Response {
    answer(admin.region_changes.retire(&name).await, name)
}

async fn release(State(admin): State<Admin>) -> Response {
    match admin.region_changes.release().await {
        Ok(()) => Json(ReleaseAnswer { version: VERSION }).into_response(),
        Err(error) => refuse(status(&error), error.to_string()),
    }
}

fn answer(outcome: Result<RegionId, RegionError>, name: String) -> Response {
    match outcome {
        Ok(region) => Json(RegionAnswer { version: VERSION, id: region.0, name }).into_response(),
        Err(error) => refuse(status(&error), error.to_string()),
    }
}

fn status(error: &RegionError) -> StatusCode {
    match error {
        RegionError::Unknown { .. } => StatusCode::NOT_FOUND,
        RegionError::Refused(Refusal::RegionInvalid(_) | Refusal::PublicUrlInvalid(_)) => StatusCode::BAD_REQUEST,
        RegionError::Refused(_) => StatusCode::CONFLICT,
        RegionError::Propose(_) | RegionError::NoQuorum(_) => StatusCode::SERVICE_UNAVAILABLE,
        RegionError::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
