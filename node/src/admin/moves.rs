//! The paths of the local socket for homes that are lost: `POST /namespace/force/look`, `/namespace/force`,
//! `/namespace/aside`, `/namespace/aside/settle`. A home that moves is set like any other field (`namespaces`).
//!
//! What a former home has is compared at the present one. Regions ask each other for `/namespace/behind` and
//! `/namespace/holdings`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};

use super::carried::{Elsewhere, elsewhere};
use super::move_types::{
    AsideAnswer, AsideRequest, BehindRequest, ForceLookRequest, ForceRequest, HoldingsRequest, SettleRequest,
};
use super::namespaces::policy_changed;
use super::refusal::refused;
use super::router::Admin;
use crate::peer::PeerIdentity;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/namespace/force/look", post(look))
        .route("/namespace/force", post(force))
        .route("/namespace/aside", post(compare))
        .route("/namespace/aside/settle", post(settle))
}

/// The paths that nodes of other regions ask for: what this region's catalog says.
pub(super) fn of_catalog() -> Router<Admin> {
    Router::new()
        .route("/namespace/aside", post(compare_here))
        .route("/namespace/behind", post(behind))
        .route("/namespace/holdings", post(holdings))
}

async fn look(State(admin): State<Admin>, Json(request): Json<ForceLookRequest>) -> Response {
    match admin.deletion.look_before_force(&request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

async fn force(State(admin): State<Admin>, Json(request): Json<ForceRequest>) -> Response {
    policy_changed(admin.deletion.force_home(&request).await, request.prefix)
}

async fn compare(State(admin): State<Admin>, Json(request): Json<AsideRequest>) -> Response {
    match elsewhere::<AsideAnswer>(&admin, &request.prefix, "/namespace/aside", &request).await {
        None => compare_here(State(admin), Json(request)).await,
        Some(Elsewhere::Refused(response)) => response,
        Some(Elsewhere::Answered(answer)) => Json(answer).into_response(),
    }
}

async fn compare_here(State(admin): State<Admin>, Json(request): Json<AsideRequest>) -> Response {
    match admin.deletion.compare_aside(&request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

async fn settle(State(admin): State<Admin>, Json(request): Json<SettleRequest>) -> Response {
    policy_changed(admin.deletion.settle_aside(&request).await, request.prefix)
}

async fn behind(State(admin): State<Admin>, Json(request): Json<BehindRequest>) -> Response {
    match admin.deletion.behind(request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

async fn holdings(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(request): Json<HoldingsRequest>,
) -> Response {
    match admin.deletion.holdings_for(peer.region, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}
