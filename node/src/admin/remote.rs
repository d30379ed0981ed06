//! What concerns one machine, asked at another one: `?node=NAME` on the paths of `machine`, `audit` and `encryption`. The local socket hands such a
//! request to the node that is meant, and a peer's request is answered as one of the own socket would be.
//!
//! Nothing is handed on twice: what a peer asks is for this machine, or for this region's catalog (`carried`), whatever it
//! says. Paths that concern the cluster are not served here; each node answers those itself.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use http_body_util::{BodyExt, Limited};
use raft::directory;
use serde::Deserialize;
use tower::ServiceExt;
use tracing::warn;

use super::operator::Operator;
use super::router::{Admin, refuse};
use super::{
    audit, carried, encryption, machine, moves, namespaces, replication, replication_report, residency, takeover,
};
use crate::access::Access;
use crate::cluster::find_node;
use crate::environment::BoxFuture;
use crate::peer::{AdminAnswer, AdminRequest, Administration, PeerError, PeerIdentity, limits};

/// Time for the other node's answer: less than the command line waits for this one's.
const DEADLINE: Duration = Duration::from_secs(15);

const JSON: &str = "application/json";

/// For whom a request is.
#[derive(Debug, Deserialize)]
struct For {
    /// Name or id of the node; this one if it is left out.
    node: Option<String>,
}

/// The paths of one machine on the local socket, for any node.
pub(super) fn router(admin: &Admin) -> Router<Admin> {
    machine::router()
        .merge(audit::router())
        .merge(encryption::router())
        .route_layer(from_fn_with_state(admin.clone(), hand_on))
}

/// The paths of one machine, and of one region's catalog, for other nodes and their operators.
#[derive(Clone, Debug)]
pub struct RemoteAdmin {
    router: Router,
    access: Access,
}

impl RemoteAdmin {
    /// Answers with what the local socket would answer.
    #[must_use]
    pub fn new(admin: Admin) -> Self {
        let unknown = || async { refuse(StatusCode::NOT_FOUND, "other nodes are not asked for this".to_owned()) };
        let paths = machine::router()
            .merge(audit::router())
            .merge(encryption::router())
            .merge(carried::paths())
            .merge(namespaces::of_catalog())
            .merge(moves::of_catalog())
            .merge(replication::of_source())
            .merge(takeover::of_region())
            .merge(replication_report::of_copies())
            .merge(residency::of_nodes());
        let access = admin.access.clone();
        Self { router: paths.fallback(unknown).with_state(admin), access }
    }
}

impl Administration for RemoteAdmin {
    fn answer(&self, from: PeerIdentity, request: AdminRequest) -> BoxFuture<'static, AdminAnswer> {
        let (router, access) = (self.router.clone(), self.access.clone());
        Box::pin(async move {
            let AdminRequest { method, path, body, asker } = request;
            let Some(operator) = Operator::told(&asker, &access) else { return untold() };
            let request =
                Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, JSON).extension(from);
            let request = request.extension(operator);
            let response = match request.body(Body::from(body)) {
                Ok(request) => router.oneshot(request).await.unwrap_or_else(|never| match never {}),
                Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string()),
            };
            let status = response.status();
            match Limited::new(response.into_body(), limits::ADMIN_LIMIT_BYTES).collect().await {
                Ok(body) => AdminAnswer { status, body: body.to_bytes() },
                Err(error) => {
                    warn!(%error, "an answer for another node's operator cannot be made");
                    AdminAnswer { status: StatusCode::INTERNAL_SERVER_ERROR, body: bytes::Bytes::new() }
                }
            }
        })
    }
}

/// The answer to a request of somebody of whom the other node tells nothing that makes sense.
fn untold() -> AdminAnswer {
    AdminAnswer { status: StatusCode::BAD_REQUEST, body: bytes::Bytes::new() }
}

/// Lets pass what is for this machine, and hands the rest on.
async fn hand_on(
    State(admin): State<Admin>,
    operator: Operator,
    Query(wanted): Query<For>,
    request: Request,
    next: Next,
) -> Response {
    let Some(named) = wanted.node else { return next.run(request).await };
    let nodes = match directory::View::new(admin.directory.state()).nodes() {
        Ok(nodes) => nodes,
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let Some((node, record)) = find_node(&nodes, &named) else {
        return refuse(StatusCode::NOT_FOUND, format!("there is no node {named:?}: regnode nodes lists them"));
    };
    if node == admin.members.own() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, limits::ADMIN_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("the request cannot be read: {error}")),
    };
    let asker = match operator.tell() {
        Ok(asker) => asker,
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let carried = AdminRequest { method: parts.method, path: parts.uri.path().to_owned(), body, asker };
    match admin.peers.administer(node, carried, DEADLINE).await {
        Ok(answer) => (answer.status, [(header::CONTENT_TYPE, JSON)], answer.body).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, unanswered(&record.info.name, &error)),
    }
}

/// Why a node did not answer, and what to do.
fn unanswered(name: &str, error: &PeerError) -> String {
    match error {
        PeerError::Refused { node, message, .. } => format!("node {node} ({name}) refused: {message}"),
        error if error.may_have_had_effect() => {
            format!("{error}; its name is {name}. Whether it has done what was asked is not known: ask again")
        }
        error => {
            format!("{error}; its name is {name}. Start it, or look at its machine; regnode nodes shows who answers")
        }
    }
}
