//! The administration over the network, below [`PREFIX`]: the paths of the local socket, for whom the rules let, as far as
//! `needs` says.
//!
//! What holds: nothing is answered over plain HTTP but on this machine (`origin`); nobody is let in whom the API would not know, and a
//! token only if it was made for administration; who lacks a right learns nothing of what there is; no browser that shows
//! another site can send anything that changes something; what was denied to somebody who is known is recorded.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;
use tracing::error;

use super::needs::{AnyOf, Need, need};
use super::operator::{Denied, Operator, Reach};
use super::origin::Origin;
use super::router::{Admin, refuse, routes};
use crate::access::{Access, Caller, Principal};
use crate::audit::{Audit, Outcome};
use crate::config::Networks;
use crate::limit::Throttle;
use crate::login::{Leeway, Login, LoginError};
use crate::peer::limits;
use crate::serve::Client;

/// Path below which the administration is served: nothing else of a registry is there.
pub const PREFIX: &str = "/admin/v1";
/// What `regnode login` asks for first, which everybody may know: how people log in.
const LOGIN: &str = "/login";
/// Scope of a token that one administers with.
pub const SCOPE: &str = "registry:admin:*";
/// Bound on a request's arrival.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Seconds after which a client may try again when this node does not know yet who may what.
const RETRY_SECONDS: u64 = 1;

/// What the administration over the network is made of.
#[derive(Debug)]
pub struct NetworkParts {
    /// The paths.
    pub admin: Admin,
    /// Who asks.
    pub login: Login,
    /// How often: the limits of the API, both together.
    pub throttle: Throttle,
    /// Networks that may administer; empty: all.
    pub allow: Networks,
}

/// What requests come through.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) login: Login,
    pub(super) access: Access,
    pub(super) audit: Audit,
    pub(super) throttle: Throttle,
    pub(super) origin: Origin,
}

/// The administration for whoever comes over the network.
pub fn network_router(parts: NetworkParts) -> Router {
    let NetworkParts { admin, login, throttle, allow } = parts;
    let (access, audit) = (admin.access.clone(), admin.audit.clone());
    let origin = Origin::new(allow, &admin.settings);
    let gate = Arc::new(Gate { login, access, audit, throttle, origin });
    Router::new().nest(PREFIX, routes(admin).layer(from_fn_with_state(gate, admitted)))
}

/// Lets a request pass to its handler, or answers it.
async fn admitted(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let asked = (request.method().clone(), request.uri().clone());
    let mut response = match gate.admit(request).await {
        Ok((request, operator, asks)) => {
            let mut response = next.run(request).await;
            if let Some(denied) = response.extensions_mut().remove::<Denied>() {
                gate.denied(&operator, &denied, (&asked.0, &asked.1)).await;
            }
            if asks && response.status().is_success() && !operator.was_asked() {
                error!("a path of the administration has not asked what its caller may");
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "this path does not say what it needs".to_owned())
            } else {
                response
            }
        }
        Err(refused) => *refused,
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a request that does not pass.
pub(super) type Refused = Box<Response>;

#[expect(clippy::unnecessary_box_returns, reason = "it becomes an error, which is small that way")]
fn no(status: StatusCode, message: impl Into<String>) -> Refused {
    Box::new(refuse(status, message.into()))
}

#[expect(clippy::unnecessary_box_returns, reason = "as above")]
fn later(status: StatusCode, message: impl Into<String>, seconds: u64) -> Refused {
    let mut refused = no(status, message);
    refused.headers_mut().insert(RETRY_AFTER, seconds.into());
    refused
}

impl Gate {
    /// The request as its handler gets it, who sends it, and whether the handler is to ask what he may.
    pub(super) async fn admit(&self, request: Request) -> Result<(Request, Operator, bool), Refused> {
        let client = request.extensions().get::<Client>().cloned();
        let client = client.ok_or_else(|| no(StatusCode::INTERNAL_SERVER_ERROR, "a request of no client"))?;
        let taken = self.origin.check(&client, request.version(), request.headers());
        taken.map_err(|message| no(StatusCode::FORBIDDEN, message))?;
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET && parts.uri.path() == LOGIN {
            return Err(Box::new(self.how_to_log_in(&parts.headers, &client)));
        }
        if !self.access.rights().is_known() {
            let message = "this node does not know the rules of the cluster yet: try again";
            return Err(later(StatusCode::SERVICE_UNAVAILABLE, message, RETRY_SECONDS));
        }
        if self.audit.holds_up() {
            let message = "the audit log of this node cannot be written, and nothing is done without it";
            return Err(later(StatusCode::SERVICE_UNAVAILABLE, message, RETRY_SECONDS));
        }
        let caller = self.who(&parts.headers, &client).await?;
        of_no_other_site(&parts.method, &parts.headers)?;
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let needed = need(&method, &path);
        let needed = needed.ok_or_else(|| no(StatusCode::NOT_FOUND, "there is no such path"))?;
        if matches!(needed, Need::Machine) {
            return Err(no(StatusCode::NOT_FOUND, "this is done on the node's own machine alone, by its socket"));
        }
        let body = whole(body).await?;
        let caller = if body.is_empty() { caller } else { self.still(caller, &parts.headers, &client)? };
        let operator = Operator::client(caller, &self.access);
        let mut request = Request::from_parts(parts, Body::from(body.clone()));
        let asks = match needed {
            Need::Machine | Need::Known => false,
            Need::Asked => true,
            Need::Cluster(actions) => {
                let rights = actions.iter().map(|action| (*action, String::new())).collect();
                let any = AnyOf { reach: Reach::Itself, rights };
                self.check(&operator, &[any], (&method, request.uri())).await?;
                false
            }
            Need::Named(read) => {
                let named = read(&body);
                let message = |error| format!("the request cannot be read: {error}");
                let named = named.map_err(|error| no(StatusCode::BAD_REQUEST, message(error)))?;
                self.check(&operator, &named.all, (&method, request.uri())).await?;
                *request.body_mut() = Body::from(named.body);
                false
            }
        };
        request.extensions_mut().insert(operator.clone());
        Ok((request, operator, asks))
    }

    /// Who asks, counted whatever becomes of it.
    async fn who(&self, headers: &HeaderMap, client: &Client) -> Result<Caller, Refused> {
        let found = self.login.identify(headers, client, Leeway::None).await;
        let principal = found.as_ref().map_or(&Principal::Anonymous, |caller| &caller.principal).to_string();
        if let Err(late) = self.throttle.admit(&principal, client.address, false) {
            return Err(later(StatusCode::TOO_MANY_REQUESTS, late.to_string(), late.seconds));
        }
        self.administering(found, headers, client).await
    }

    /// The same one once his body is there, as his account is then: who sends it slowly has the rights that he has at its end,
    /// not those of its beginning. What he has shown was found right a moment ago and is not verified again.
    fn still(&self, caller: Caller, headers: &HeaderMap, client: &Client) -> Result<Caller, Refused> {
        let rights = self.access.rights();
        if !rights.stands(&caller, self.access.now()) {
            return Err(self.challenge(&LoginError::Wrong.to_string(), None, headers, client));
        }
        let groups = rights.groups(&caller.principal);
        Ok(Caller { groups, ..caller })
    }

    #[expect(clippy::unnecessary_box_returns, reason = "it becomes an error, which is small that way")]
    fn challenge(&self, message: &str, why: Option<&str>, headers: &HeaderMap, client: &Client) -> Refused {
        let mut refused = no(StatusCode::UNAUTHORIZED, message);
        let value = self.login.challenge(headers, client, Some(SCOPE), why);
        refused.headers_mut().insert(WWW_AUTHENTICATE, value);
        refused
    }

    /// Whoever was found, if he has shown what one administers with.
    async fn administering(
        &self,
        found: Result<Caller, LoginError>,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<Caller, Refused> {
        let challenge = |message: &str, why| self.challenge(message, why, headers, client);
        let caller = match found {
            Ok(caller) => caller,
            Err(error) => {
                let message = error.to_string();
                return Err(match error {
                    LoginError::Wrong => challenge(&message, None),
                    LoginError::Malformed(_) | LoginError::Untrusted(_) => {
                        self.login.record_bad_token(&error.reason(), client.address).await;
                        challenge(&message, Some("invalid_token"))
                    }
                    LoginError::Locked { retry_after_seconds } => {
                        later(StatusCode::TOO_MANY_REQUESTS, message, retry_after_seconds)
                    }
                    LoginError::Unavailable(_) => later(StatusCode::SERVICE_UNAVAILABLE, message, RETRY_SECONDS),
                });
            }
        };
        if caller.principal == Principal::Anonymous {
            return Err(challenge("a login is needed to administer", None));
        }
        if self.login.lets_administer(&caller) {
            return Ok(caller);
        }
        self.record(&Operator::client(caller, &self.access), "", "the token is not one to administer with").await;
        Err(challenge("the token is not one to administer with", Some("insufficient_scope")))
    }

    async fn check(&self, operator: &Operator, all: &[AnyOf], asked: (&Method, &Uri)) -> Result<(), Refused> {
        for AnyOf { reach, rights } in all {
            let any: Vec<_> = rights.iter().map(|(action, namespace)| (*action, namespace.as_str())).collect();
            if let Err(denied) = operator.check_within(*reach, &any) {
                self.denied(operator, &denied, asked).await;
                return Err(Box::new(denied.refused()));
            }
        }
        Ok(())
    }

    async fn denied(&self, operator: &Operator, denied: &Denied, (method, uri): (&Method, &Uri)) {
        let detail = format!("{method} {PREFIX}{}: {}", uri.path(), denied.reason());
        self.record(operator, denied.namespace(), &detail).await;
    }

    async fn record(&self, operator: &Operator, namespace: &str, detail: &str) {
        let event = operator.event("denied").repository(namespace).outcome(Outcome::Refused);
        self.audit.record(event.detail(detail)).await;
    }

    /// How people log in here.
    fn how_to_log_in(&self, headers: &HeaderMap, client: &Client) -> Response {
        if let Err(late) = self.throttle.admit(&Principal::Anonymous.to_string(), client.address, false) {
            return *later(StatusCode::TOO_MANY_REQUESTS, late.to_string(), late.seconds);
        }
        match self.login.ways(headers, client) {
            Ok(ways) => Json(ways).into_response(),
            Err(error) => *later(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), RETRY_SECONDS),
        }
    }
}

/// Refuses what a browser may send for a page of another site: nothing here lets such pages ask first (CORS), and without
/// asking they can send no JSON.
fn of_no_other_site(method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    if headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(no(StatusCode::FORBIDDEN, "the administration takes nothing from pages of other sites"));
    }
    let is_json = |value: &HeaderValue| {
        let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/json")
    };
    if *method == Method::GET || headers.get(CONTENT_TYPE).is_some_and(is_json) {
        return Ok(());
    }
    Err(no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type: application/json is expected"))
}

/// A request's body, which has to be there in time.
async fn whole(body: Body) -> Result<bytes::Bytes, Refused> {
    match timeout(BODY_WITHIN, Limited::new(body, limits::ADMIN_LIMIT_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(no(StatusCode::BAD_REQUEST, format!("the request cannot be read: {error}"))),
        Err(_late) => Err(no(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time")),
    }
}
