//! Where everything rests: `POST /residency/verify` begins to look, `/residency/progress` says how far that is and what
//! came of it, `/residency/history` what audits have found. `of_nodes` has what a run asks nodes and regions.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use raft::catalog::RepositoryName;
use serde::Serialize;

use super::residency_types::{AuditsAnswer, AuditsRequest, NamedAudit, VerifyAnswer, VerifyRequest};
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::residency::{AnswerError, HoldingsQuestion, InventoryQuestion, TraceQuestion};

/// Most audits in one answer.
const AUDITS_MAX: u32 = 1000;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/residency/verify", post(verify))
        .route("/residency/progress", get(progress))
        .route("/residency/history", post(history))
}

/// What a run asks, answered for this node and its region.
pub(super) fn of_nodes() -> Router<Admin> {
    Router::new()
        .route("/residency/inventory", post(inventory))
        .route("/residency/holdings", post(holdings))
        .route("/residency/trace", post(trace))
}

async fn verify(State(admin): State<Admin>, Json(request): Json<VerifyRequest>) -> Response {
    // The root's prefix is everything.
    let namespace = request.namespace.filter(|namespace| !namespace.is_empty());
    if let Some(error) = namespace.as_ref().and_then(|prefix| prefix.parse::<RepositoryName>().err()) {
        return refuse(StatusCode::BAD_REQUEST, error.to_string());
    }
    match admin.residency.verify(namespace) {
        Ok(progress) => Json(VerifyAnswer { version: VERSION, progress, report: None }).into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error.to_string()),
    }
}

async fn progress(State(admin): State<Admin>) -> Response {
    match admin.residency.progress() {
        Some(progress) => {
            Json(VerifyAnswer { version: VERSION, progress, report: admin.residency.report() }).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, "nothing is being verified at this node".to_owned()),
    }
}

async fn history(State(admin): State<Admin>, Json(request): Json<AuditsRequest>) -> Response {
    let regions = admin.deletion.regions().places();
    let name = |region| regions.region(region).map(|region| region.name.clone());
    let limit = request.limit.min(AUDITS_MAX) as usize;
    let read = || {
        let audits = admin.residency.history(limit)?;
        let audits = audits.into_iter().map(|audit| NamedAudit {
            time_milliseconds: audit.time.0,
            region: name(audit.region).unwrap_or_else(|| audit.region.to_string()),
            complete: audit.complete,
            nodes: audit.nodes,
            disks: audit.disks,
            objects: audit.objects,
            bytes: audit.bytes,
            pinned_objects: audit.pinned_objects,
            pinned_bytes: audit.pinned_bytes,
            violations: audit.violations,
            examples: audit.examples,
        });
        Ok::<_, raft::directory::StateError>(AuditsAnswer {
            version: VERSION,
            audits: audits.collect(),
            alarms: admin.residency.alarms()?,
            audit_hours: admin.settings.residency.audit_hours,
        })
    };
    match read() {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn inventory(State(admin): State<Admin>, Json(question): Json<InventoryQuestion>) -> Response {
    answered(admin.residency.answerer().inventory(question).await)
}

async fn holdings(State(admin): State<Admin>, Json(question): Json<HoldingsQuestion>) -> Response {
    answered(admin.residency.answerer().holdings(question).await)
}

async fn trace(State(admin): State<Admin>, Json(question): Json<TraceQuestion>) -> Response {
    answered(admin.residency.answerer().trace(question).await)
}

fn answered<A: Serialize>(answer: Result<A, AnswerError>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            let status = match &error {
                AnswerError::Behind { .. } | AnswerError::Catalog(_) => StatusCode::SERVICE_UNAVAILABLE,
                AnswerError::Invalid(_) => StatusCode::BAD_REQUEST,
            };
            refuse(status, error.to_string())
        }
    }
}
