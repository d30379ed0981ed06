//! The path of the local socket for a takeover of the directory, `POST /region/takeover`; and those that nodes of one region
//! ask each other for, `POST /takeover/standing` and `/takeover/found`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http::StatusCode;
use raft::group::TakeoverError;

use super::audited::unchanged;
use super::router::{Admin, refuse};
use super::takeover_types::{TakeoverAnswer, TakeoverRequest};
use super::types::VERSION;
use crate::cluster::{FOUND_PATH, FoundRequest, Outlook, STANDING_PATH, StandingQuestion, Takeover, TakeoverRefused};
use crate::members::is_own_region;
use crate::peer::PeerIdentity;

/// The path on the local socket.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/region/takeover", post(take_over))
}

/// The paths for other nodes of the region.
pub(super) fn of_region() -> Router<Admin> {
    Router::new().route(STANDING_PATH, post(standing)).route(FOUND_PATH, post(found))
}

fn takeover(admin: &Admin) -> Takeover {
    Takeover {
        members: admin.members.clone(),
        directory: admin.directory.clone(),
        catalog: admin.collector.catalog.clone(),
        peers: admin.peers.clone(),
        entropy: admin.entropy.clone(),
    }
}

async fn take_over(State(admin): State<Admin>, Json(request): Json<TakeoverRequest>) -> Response {
    let takeover = takeover(&admin);
    let outcome = match &request.give_up {
        None => takeover.look(&request.without).await,
        Some(lost) => takeover.carry_out(&request.without, lost).await,
    };
    match outcome {
        Ok(outlook) => {
            let done = request.give_up.is_some();
            let response = Json(answer(&admin, done, outlook)).into_response();
            if done { response } else { unchanged(response) }
        }
        Err(error) => refused(&error),
    }
}

fn answer(admin: &Admin, done: bool, outlook: Outlook) -> TakeoverAnswer {
    let Outlook { region, lost, founder: (_, founder), standing, silent, .. } = outlook;
    let as_of_milliseconds = standing.as_of_milliseconds;
    let age_seconds = admin.members.beat().clock.0.saturating_sub(as_of_milliseconds) / 1000;
    TakeoverAnswer {
        version: VERSION,
        done,
        region,
        lost,
        founder,
        as_of_milliseconds,
        age_seconds,
        passed_over: silent,
    }
}

async fn standing(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(question): Json<StandingQuestion>,
) -> Response {
    if let Some(refused) = of_another_region(&admin, peer) {
        return refused;
    }
    match takeover(&admin).standing(&question).await {
        Ok(standing) => Json(standing).into_response(),
        Err(error) => refused(&error),
    }
}

async fn found(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(request): Json<FoundRequest>,
) -> Response {
    if let Some(refused) = of_another_region(&admin, peer) {
        return refused;
    }
    match takeover(&admin).found(request).await {
        Ok(()) => Json(serde_json::Value::Null).into_response(),
        Err(error) => refused(&error),
    }
}

/// A region takes over by itself: no node of another one has a part in it.
fn of_another_region(admin: &Admin, peer: PeerIdentity) -> Option<Response> {
    let foreign = !is_own_region(admin.members.region(), peer.region);
    foreign.then(|| refuse(StatusCode::FORBIDDEN, "nodes of other regions do not ask for this".to_owned()))
}

fn refused(error: &TakeoverRefused) -> Response {
    let status = match error {
        TakeoverRefused::UnknownNode(_) => StatusCode::NOT_FOUND,
        TakeoverRefused::HasQuorum { .. }
        | TakeoverRefused::NoCatalog { .. }
        | TakeoverRefused::NothingLost { .. }
        | TakeoverRefused::VoterAnswers { .. }
        | TakeoverRefused::Silent { .. }
        | TakeoverRefused::Empty
        | TakeoverRefused::Changed
        | TakeoverRefused::Replica(TakeoverError::Incarnation { .. } | TakeoverError::Empty { .. }) => {
            StatusCode::CONFLICT
        }
        TakeoverRefused::NotFounded { .. } => StatusCode::SERVICE_UNAVAILABLE,
        TakeoverRefused::Replica(_) | TakeoverRefused::Group(_) | TakeoverRefused::State(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    refuse(status, error.to_string())
}
