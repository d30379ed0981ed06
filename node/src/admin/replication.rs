//! What regions with copies ask of this one, from peer to peer: `POST /replication/feed`, `/replication/survey`,
//! `/replication/position`, `/replication/pulls`. Not on the local socket: the answer depends on the region in the asking
//! node's certificate.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http::StatusCode;
use serde::Serialize;

use super::router::{Admin, refuse};
use crate::peer::PeerIdentity;
use crate::replication::{FeedQuestion, PositionQuestion, PullsTold, Question, QuestionError, SurveyQuestion};

/// The paths.
pub(super) fn of_source() -> Router<Admin> {
    Router::new()
        .route(FeedQuestion::PATH, post(feed))
        .route(SurveyQuestion::PATH, post(survey))
        .route(PositionQuestion::PATH, post(position))
        .route(PullsTold::PATH, post(pulls))
}

async fn feed(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(question): Json<FeedQuestion>,
) -> Response {
    answered(admin.source.feed(peer.region, question).await)
}

async fn survey(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(question): Json<SurveyQuestion>,
) -> Response {
    answered(admin.source.survey(peer.region, question).await)
}

async fn position(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(question): Json<PositionQuestion>,
) -> Response {
    answered(admin.source.position(peer.region, question).await)
}

async fn pulls(
    State(admin): State<Admin>,
    Extension(peer): Extension<PeerIdentity>,
    Json(told): Json<PullsTold>,
) -> Response {
    answered(admin.source.pulls(peer.region, &told))
}

/// The answer, or the status that stands for an error: `replication::ask` reads this table backwards.
pub(super) fn answered<T: Serialize>(answer: Result<T, QuestionError>) -> Response {
    let error = match answer {
        Ok(answer) => return Json(answer).into_response(),
        Err(error) => error,
    };
    let status = match &error {
        QuestionError::Invalid(_) => StatusCode::BAD_REQUEST,
        QuestionError::Refused(_) => StatusCode::FORBIDDEN,
        QuestionError::Behind(_) => StatusCode::CONFLICT,
        QuestionError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        QuestionError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, error.to_string())
}
