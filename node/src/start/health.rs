//! `/livez`, `/readyz` and `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use tokio::sync::watch;

use crate::admin;
use crate::status::Readiness;
use crate::telemetry::Metrics;

/// The three paths.
pub(super) fn router(readiness: watch::Receiver<Readiness>, metrics: Metrics) -> Router {
    let scrape = get(|State(metrics): State<Metrics>| async move { admin::metrics(&metrics) });
    probes(readiness).merge(Router::new().route("/metrics", scrape).with_state(metrics))
}

/// `/livez` and `/readyz` alone.
pub(super) fn probes(readiness: watch::Receiver<Readiness>) -> Router {
    Router::new().route("/livez", get(|| async { "live\n" })).route("/readyz", get(readyz)).with_state(readiness)
}

async fn readyz(State(readiness): State<watch::Receiver<Readiness>>) -> Response {
    let readiness = readiness.borrow().clone();
    if readiness.is_ready() {
        return "ready\n".into_response();
    }
    let reasons = readiness.reasons.join("\n");
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reasons}\n")).into_response()
}
