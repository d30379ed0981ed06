//! The audit log of one node: `POST /audit/search` finds records, `POST /audit/verify` checks a part of it. `remote` answers
//! them for other nodes too. Each answer is a bounded piece of work: whoever wants all of it asks again from where it ended.

use std::io;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;

use super::audit_types::{AuditPage, AuditSearchRequest, AuditVerifyAnswer, AuditVerifyRequest};
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::audit::{Cursor, PAGE_RECORDS_MAX};

/// The paths, answered for this node.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/audit/search", post(search)).route("/audit/verify", post(verify))
}

async fn search(State(admin): State<Admin>, Json(request): Json<AuditSearchRequest>) -> Response {
    let AuditSearchRequest { filter, from, newest, limit } = request;
    // What was recorded before the question is found by it.
    let from = from.or_else(|| {
        let newest = newest?;
        Some(Cursor::at((admin.audit_log.state().sequence + 1).saturating_sub(newest)))
    });
    let limit = usize::try_from(limit).map_or(PAGE_RECORDS_MAX, |limit| limit.min(PAGE_RECORDS_MAX));
    match admin.audit_log.search(filter, from, limit).await {
        Ok(page) => {
            let (node, name) = this(&admin);
            let (records, next, ended) = (page.records, page.next, page.ended);
            Json(AuditPage { version: VERSION, node, name, records, next, ended }).into_response()
        }
        Err(error) => unreadable(&error),
    }
}

async fn verify(State(admin): State<Admin>, Json(request): Json<AuditVerifyRequest>) -> Response {
    match admin.audit_log.verify(request.checked).await {
        Ok(step) => {
            let (node, name) = this(&admin);
            let state = admin.audit_log.state();
            let (checked, faults, ended) = (step.checked, step.faults, step.ended);
            Json(AuditVerifyAnswer { version: VERSION, node, name, checked, faults, ended, state }).into_response()
        }
        Err(error) => unreadable(&error),
    }
}

fn this(admin: &Admin) -> (u64, String) {
    (admin.collector.identity.node.0, admin.collector.identity.name.clone())
}

fn unreadable(error: &io::Error) -> Response {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, format!("the audit log cannot be read: {error}"))
}
