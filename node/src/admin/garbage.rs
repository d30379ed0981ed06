//! The paths of the local socket for garbage and usage: `GET /gc`, `POST /gc/run`, `POST /usage`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::deletion_types::{CollectedAnswer, GarbageAnswer, UsageAnswer, UsageRequest};
use super::refusal::refused;
use super::router::Admin;
use super::types::VERSION;

/// Namespaces and repositories in one page.
const PAGE: usize = 200;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/gc", get(status)).route("/gc/run", post(run))
}

/// Those that concern one namespace.
pub(super) fn of_namespaces() -> Router<Admin> {
    Router::new().route("/usage", post(usage))
}

async fn status(State(admin): State<Admin>) -> Response {
    match admin.deletion.garbage().await {
        Ok(garbage) => Json(GarbageAnswer { version: VERSION, garbage }).into_response(),
        Err(error) => refused(&error),
    }
}

async fn run(State(admin): State<Admin>) -> Response {
    match admin.deletion.collect_garbage().await {
        Ok(collected) => Json(CollectedAnswer {
            version: VERSION,
            items: collected.items,
            bytes: collected.bytes,
            more: collected.more,
        })
        .into_response(),
        Err(error) => refused(&error),
    }
}

async fn usage(State(admin): State<Admin>, Json(request): Json<UsageRequest>) -> Response {
    let answer = async {
        let total = admin.deletion.usage(&request.prefix).await?;
        let below = admin.deletion.usages(&request.prefix, request.after.as_deref(), PAGE).await?;
        let next = below.last().filter(|_| below.len() == PAGE).map(|last| last.namespace.clone());
        Ok(UsageAnswer { version: VERSION, total, below, next })
    };
    match answer.await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}
