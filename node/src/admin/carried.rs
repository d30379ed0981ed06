//! What concerns the catalog of another region, asked at a node of this one: a repository or a namespace whose home is
//! elsewhere, a job there. The request is carried to a node of its home region, and the answer back.
//!
//! Nothing is carried twice: what a node of another region asks is answered from this region's catalog (`remote`).

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::operator::Operator;
use super::router::{Admin, refuse};
use super::{garbage, history, jobs};
use crate::peer::{AdminAnswer, AdminRequest, Asker, limits};
use crate::regions::{Region, Standing};

/// Time for the other region's answer: less than the command line waits for this node's.
const DEADLINE: Duration = Duration::from_secs(15);

const JSON: &str = "application/json";

/// Why it is not known whom to ask.
type Refused = (StatusCode, String);

/// What a request is about, whatever else it says.
#[derive(Debug, Deserialize)]
struct Subject {
    repository: Option<String>,
    prefix: Option<String>,
    /// Name of the region whose catalog is meant.
    region: Option<String>,
}

/// The paths that concern one repository, namespace or job, answered from this region's catalog.
pub(super) fn paths() -> Router<Admin> {
    garbage::of_namespaces().merge(jobs::router()).merge(history::router())
}

/// The same on the local socket, wherever the home is.
pub(super) fn router(admin: &Admin) -> Router<Admin> {
    paths().route_layer(from_fn_with_state(admin.clone(), carry))
}

/// The home of a repository or a prefix, if it is another region.
fn home(admin: &Admin, subject: &str) -> Result<Option<Region>, Refused> {
    match admin.deletion.regions().standing(subject) {
        Standing::Home => Ok(None),
        Standing::Replica(home, _) | Standing::Foreign(home, _) => Ok(Some(home)),
        Standing::Unknown => {
            let message = "this node has not caught up with the cluster's directory yet: try again".to_owned();
            Err((StatusCode::SERVICE_UNAVAILABLE, message))
        }
    }
}

/// The region whose catalog is asked, if it is another one.
fn whose(admin: &Admin, subject: Subject) -> Result<Option<Region>, Refused> {
    let Some(named) = subject.region else {
        let subject = subject.repository.or(subject.prefix);
        return subject.map_or(Ok(None), |subject| home(admin, &subject));
    };
    let regions = admin.deletion.regions();
    if regions.region(regions.own()).is_some_and(|own| own.name == named) {
        return Ok(None);
    }
    let found = regions.others().into_iter().find(|region| region.name == named);
    let unknown = || (StatusCode::NOT_FOUND, format!("there is no region {named:?}: regnode region list lists them"));
    found.map(Some).ok_or_else(unknown)
}

/// Lets pass what is about this region's catalog, and carries the rest to its home.
async fn carry(State(admin): State<Admin>, operator: Operator, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, limits::ADMIN_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("the request cannot be read: {error}")),
    };
    // What makes no sense is refused where it is understood.
    let home = match serde_json::from_slice::<Subject>(&body).map(|subject| whose(&admin, subject)) {
        Ok(Ok(home)) => home,
        Ok(Err((status, message))) => return refuse(status, message),
        Err(_) => None,
    };
    let Some(home) = home else { return next.run(Request::from_parts(parts, Body::from(body))).await };
    let asker = match operator.tell() {
        Ok(asker) => asker,
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    operator.is_asked_elsewhere();
    let request = AdminRequest { method: parts.method, path: parts.uri.path().to_owned(), body, asker };
    match admin.deletion.regions().administer(&home, request, DEADLINE).await {
        Ok(AdminAnswer { status, body }) => (status, [(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// What another region says.
pub(super) enum Elsewhere<T> {
    /// Its answer.
    Answered(T),
    /// It refuses, or does not answer.
    Refused(Response),
}

/// Asks the home of a repository or a prefix; `None` if that is this region.
pub(super) async fn elsewhere<T: DeserializeOwned>(
    admin: &Admin,
    subject: &str,
    path: &str,
    request: &impl Serialize,
) -> Option<Elsewhere<T>> {
    let home = match home(admin, subject) {
        Ok(home) => home?,
        Err((status, message)) => return Some(Elsewhere::Refused(refuse(status, message))),
    };
    let internal = |error: serde_json::Error| refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let body = match serde_json::to_vec(request) {
        Ok(body) => body.into(),
        Err(error) => return Some(Elsewhere::Refused(internal(error))),
    };
    // What is asked there, this node has allowed.
    let request = AdminRequest { method: Method::POST, path: path.to_owned(), body, asker: Asker::Machine };
    Some(match admin.deletion.regions().administer(&home, request, DEADLINE).await {
        Ok(AdminAnswer { status: StatusCode::OK, body }) => match serde_json::from_slice(&body) {
            Ok(answer) => Elsewhere::Answered(answer),
            Err(error) => Elsewhere::Refused(internal(error)),
        },
        Ok(AdminAnswer { status, body }) => {
            Elsewhere::Refused((status, [(header::CONTENT_TYPE, JSON)], body).into_response())
        }
        Err(error) => Elsewhere::Refused(refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    })
}
