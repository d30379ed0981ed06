//! `/livez`, `/readyz` and `/metrics`.

use axum::extract::State;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body::Body};
use http::{Request, StatusCode};
use tokio::sync::watch;

use crate::admin;
use crate::serve::Client;
use crate::status::Readiness;
use crate::telemetry::Metrics;

/// The three paths.
pub(super) fn router(readiness: watch::Receiver<Readiness>, metrics: Metrics) -> Router {
    let scrape = get(|State(metrics): State<Metrics>| async move { admin::metrics(&metrics) });
    probes(readiness).merge(Router::new().route("/metrics", scrape).with_state(metrics))
}

/// The three paths where registry clients come too: the metrics, which name namespaces, are for this machine alone there.
pub(super) fn for_clients(readiness: watch::Receiver<Readiness>, metrics: Metrics) -> Router {
    let scrape = get(|State(metrics): State<Metrics>| async move { admin::metrics(&metrics) });
    let metrics = Router::new().route("/metrics", scrape).with_state(metrics).layer(from_fn(local_only));
    probes(readiness).merge(metrics)
}

async fn local_only(request: Request<Body>, next: Next) -> Response {
    if request.extensions().get::<Client>().is_some_and(|client| client.address.is_loopback()) {
        return next.run(request).await;
    }
    let message = "metrics are answered to clients of this machine only here: give them an address of their own with \
                   metrics.listen\n";
    (StatusCode::FORBIDDEN, message).into_response()
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

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn strangers_are_told_no_metrics_where_clients_come() {
        let readiness = watch::channel(Readiness::starting()).1;
        let router = for_clients(readiness, Metrics::new());
        let answer = async |address: Option<&str>, path: &str| {
            let mut request = Request::get(path).body(Body::empty()).unwrap();
            if let Some(address) = address {
                request.extensions_mut().insert(Client::at(address.parse().unwrap()));
            }
            router.clone().oneshot(request).await.unwrap().status()
        };
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(answer(Some(address), "/metrics").await, StatusCode::OK, "{address}");
        }
        for address in [Some("10.0.0.1"), Some("2001:db8::1"), None] {
            assert_eq!(answer(address, "/metrics").await, StatusCode::FORBIDDEN, "{address:?}");
            assert_eq!(answer(address, "/livez").await, StatusCode::OK);
        }
    }
}
