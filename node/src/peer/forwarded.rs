//! The way in for clients' requests that nodes of other regions hand on: the very same API as for clients, behind the
//! guard of the peer port. The API finds a [`Forwarded`] with such a request, and never hands it on again.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;
use http::{HeaderValue, Response, StatusCode};
use raft::id::{NodeId, RegionId};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::forward::{FORWARDED, REFUSED};
use super::guard::{Guard, Refused};
use super::held::Held;
use super::{Metrics, Refusal};

/// A request was handed on by a node of another region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// That node.
    pub from: NodeId,
    /// Its region.
    pub region: RegionId,
}

/// The API's paths on the peer port. `under_way` counts the answers that have not ended.
pub(super) fn routes(api: Router, guard: Guard, metrics: Metrics, under_way: TaskTracker) -> Router {
    let handler = any(move |request: Request| {
        let (api, guard, metrics, token) = (api.clone(), guard.clone(), metrics.clone(), under_way.token());
        async move { answer(api, &guard, &metrics, request).await.map(|body| Body::new(Held { body, _kept: token })) }
    });
    Router::new().route("/v2", handler.clone()).route("/v2/", handler.clone()).route("/v2/{*rest}", handler)
}

async fn answer(api: Router, guard: &Guard, metrics: &Metrics, mut request: Request) -> Response<Body> {
    match admit(guard, &request) {
        Ok(forwarded) => {
            metrics.served("forward", "done");
            request.extensions_mut().insert(forwarded);
            api.oneshot(request).await.unwrap_or_else(|never| match never {})
        }
        Err((refusal, message)) => {
            metrics.served("forward", refusal.name());
            tracing::debug!(refusal = refusal.name(), message, "forwarded request not taken");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
            response.headers_mut().insert(REFUSED, HeaderValue::from_static(refusal.name()));
            response
        }
    }
}

fn admit(guard: &Guard, request: &Request) -> Result<Forwarded, Refused> {
    let peer = guard.admit(request.headers(), request.extensions())?;
    if !request.headers().contains_key(FORWARDED) {
        return Err((Refusal::Invalid, "clients are served on another port".to_owned()));
    }
    Ok(Forwarded { from: peer.node, region: peer.region })
}
