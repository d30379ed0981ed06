//! The registry's HTTP API: distribution-spec 1.1 with the drafts of 1.2, in the dialects of real clients.
//!
//! One handler takes every path below `/v2/`, since a repository's name may hold slashes. This module knows HTTP and
//! OCI's names alone: what is done is the gateway's for bytes and the registry's for metadata. Nothing here depends
//! on which node of a region a request reached; what becomes of it in the wrong region is said in `elsewhere`.
//! Every request passes the `gate` first, which knows who asks and what he may.

mod blobs;
mod catalog;
mod copies;
mod elsewhere;
mod error;
mod gate;
mod headers;
mod inbound;
mod insight;
mod manifests;
mod metrics;
mod onward;
mod options;
mod outbound;
mod paging;
mod ping;
mod query;
mod range;
mod record;
mod referrers;
mod route;
mod tags;
mod tenancy;
#[cfg(test)]
mod tests;
mod uploads;
mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use http_body::Body as _;
use tracing::{Instrument as _, Span, debug_span, info_span, warn};

use crate::access::Access;
use crate::audit::Audit;
use crate::gateway::Gateway;
use crate::limit::Throttle;
use crate::login::Login;
use crate::regions::{Regions, Standing};
use crate::registry::Registry;
use crate::tenant::{Tenant, Tenants};

use error::{ApiError, Code};
use inbound::Inbound;
use onward::Onward;
use outbound::Recorded;
use query::Query;
use route::{Kind, Route, RouteError};
use tenancy::Asked;
use visitor::Visitor;

pub use metrics::Metrics;
pub use options::ApiOptions;

/// Answers up to this size are recorded when they are handed over; larger ones when they were sent.
const RECORD_STREAM_BYTES: u64 = 64 << 10;

type Answer = Result<Response<Body>, ApiError>;

/// What the API is made of.
#[derive(Debug)]
pub struct ApiParts {
    /// Blobs and upload sessions.
    pub gateway: Gateway,
    /// Manifests, tags, lists.
    pub registry: Registry,
    /// Homes of repositories, and the way there.
    pub regions: Regions,
    /// Who asks.
    pub login: Login,
    /// What he may.
    pub access: Access,
    /// What is recorded of it.
    pub audit: Audit,
    /// How much of it there may be.
    pub throttle: Throttle,
    /// By whose domains clients come.
    pub tenants: Tenants,
    /// Limits.
    pub options: ApiOptions,
    /// Metrics.
    pub metrics: Metrics,
}

#[derive(Debug)]
struct Api {
    gateway: Gateway,
    registry: Registry,
    regions: Regions,
    login: Login,
    access: Access,
    audit: Audit,
    throttle: Throttle,
    tenants: Tenants,
    options: ApiOptions,
    metrics: Metrics,
    requests: AtomicU64,
}

/// The head of a request whose path was taken apart.
#[derive(Debug)]
struct Head {
    parts: Parts,
    /// Query that a client appended to the path.
    more_query: Option<String>,
    /// Who the gate has let in; nobody before it, and when another region copies.
    visitor: Option<Visitor>,
    /// Told when the request is to be carried on without its client.
    onward: Onward,
    /// Whose names the answer has; `None` for full ones.
    tenant: Option<Tenant>,
}

impl Head {
    fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    fn query(&self) -> Query<'_> {
        Query::new(self.parts.uri.query(), self.more_query.as_deref())
    }

    /// The domain of a tenant that the client has asked by.
    fn domain(&self) -> Option<&str> {
        self.tenant.as_ref().map(Tenant::domain)
    }

    /// A full name as it stands in the answer.
    fn shown<'a>(&self, full: &'a str) -> &'a str {
        self.tenant.as_ref().map_or(full, |tenant| tenant.own_namespace(full))
    }

    /// In whose name commands are proposed.
    fn principal(&self) -> Option<String> {
        self.visitor.as_ref().and_then(Visitor::principal)
    }
}

/// The API as a router, for everything below `/v2/`; other paths are answered with 404.
pub fn router(parts: ApiParts) -> Router {
    let ApiParts { gateway, registry, regions, login, access, audit, throttle, tenants, options, metrics } = parts;
    let requests = AtomicU64::new(0);
    let api = Arc::new(Api {
        gateway,
        registry,
        regions,
        login,
        access,
        audit,
        throttle,
        tenants,
        options,
        metrics,
        requests,
    });
    Router::new().fallback(handle).with_state(api)
}

async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let is_api = parts.uri.path() == "/v2" || parts.uri.path().starts_with("/v2/");
    let asked = api.asked(&mut parts);
    let route = asked.as_ref().ok().map(|asked| &asked.route);
    let kind = route.map_or(Kind::Unknown, Route::kind);
    let standing = route.map_or(Standing::Home, |route| api.standing(route));
    let span = api.span(&parts.method, kind, route, &standing);
    let body = Inbound::new(&parts, body, api.options.idle_body_timeout, api.metrics.clone());
    let mut recording = api.metrics.begin(kind, &parts.method, span.clone());

    let names = asked.as_ref().ok().and_then(|asked| Some((asked.tenant.clone()?, asked.name().to_owned())));
    let answer = match asked {
        Ok(Asked { route, more_query, tenant }) => {
            let onward = Onward::of(&parts.method);
            let head = Head { parts, more_query, visitor: None, onward: onward.clone(), tenant };
            let answering = {
                let api = Arc::clone(&api);
                async move { api.answer_admitted(standing, route, head, body).await }.instrument(span.clone())
            };
            onward.carry(Box::pin(answering), api.gateway.tasks()).await
        }
        Err(error) => Err(error),
    };
    let mut response = answer.unwrap_or_else(|error| {
        if error.status().is_server_error() {
            span.in_scope(|| warn!(status = error.status().as_u16(), error = error.cause(), "request failed"));
        }
        match &names {
            Some((tenant, about)) => error.in_names_of(tenant, about),
            None => error,
        }
        .into_response()
    });
    if let Some((tenant, _)) = &names {
        response = tenancy::turned(response, tenant);
    }
    if is_api {
        response.headers_mut().insert(headers::API_VERSION, headers::API_VERSION_VALUE);
        // What was pushed must not be taken for something else by a browser.
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    recording.answered(response.status().as_u16());
    match response.body().size_hint().exact() {
        Some(bytes) if bytes <= RECORD_STREAM_BYTES => {
            recording.sent(bytes);
            response
        }
        _ => response.map(|body| Body::new(Recorded::new(body, recording))),
    }
}

impl Api {
    /// Reads are the bulk and leave no trace of their own: their span exists only when it is asked for.
    fn span(&self, method: &Method, kind: Kind, route: Option<&Route>, standing: &Standing) -> Span {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        // What is pinned elsewhere leaves no names in this region's logs.
        let pinned = elsewhere::pinned(standing);
        let named = route.and_then(Route::repository).map_or("", |name| name.as_str());
        let repository = pinned.unwrap_or(named);
        let target = || route.filter(|_| pinned.is_none()).map(Route::target).unwrap_or_default();
        let route = kind.name();
        if *method == Method::GET || *method == Method::HEAD {
            debug_span!("request", request, %method, route, repository, target = target())
        } else {
            info_span!("request", request, %method, route, repository, target = target())
        }
    }

    /// Answers whoever the gate lets in.
    async fn answer_admitted(&self, standing: Standing, route: Route, mut head: Head, body: Inbound) -> Answer {
        let Some((visitor, permit)) = self.admit(&route, &head).await? else {
            return self.answer_as(standing, route, head, body).await;
        };
        head.visitor = Some(visitor);
        let answer = self.answer_as(standing, route, head, body.mapped(|body| permit.pace(body))).await;
        Ok(answer?.map(|body| permit.pace(body)))
    }

    /// Answers a read of what copies have too.
    async fn read(&self, route: &Route, head: &Head) -> Answer {
        match route {
            Route::Tags(name) => self.list_tags(name, head).await,
            Route::Referrers(name, digest) => self.list_referrers(name, digest, head).await,
            Route::Manifest(name, reference) => self.get_manifest(name, reference, head).await,
            Route::Blob(name, digest) if head.is_head() => self.head_blob(name, digest, head).await,
            Route::Blob(name, digest) => self.get_blob(name, digest, head).await,
            _ => Err(ApiError::method(route.allowed())),
        }
    }

    async fn answer(&self, route: Route, head: Head, body: Inbound) -> Answer {
        let method = head.parts.method.clone();
        let is_read = method == Method::GET || method == Method::HEAD;
        match &route {
            Route::Ping if is_read => Ok(ping::answer()),
            Route::Catalog if is_read => self.list_repositories(&head, elsewhere::forwarded(&head)).await,
            Route::Tags(_) | Route::Referrers(..) | Route::Manifest(..) | Route::Blob(..) if is_read => {
                self.read(&route, &head).await
            }
            Route::History(name, tag) if is_read => self.tag_history(name, tag, &head).await,
            Route::Usage(prefix) if is_read => self.usage(prefix, &head).await,
            Route::Manifest(name, reference) => match method {
                Method::PUT => self.put_manifest(name, reference, &head, body).await,
                Method::DELETE => self.delete_manifest(name, reference, &head).await,
                _ => Err(ApiError::method(route.allowed())),
            },
            Route::Blob(name, digest) => match method {
                Method::DELETE => self.delete_blob(name, digest, &head).await,
                _ => Err(ApiError::method(route.allowed())),
            },
            Route::Uploads(name) if method == Method::POST => self.start_upload(name, &head, body).await,
            Route::Upload(name, session) => {
                self.gateway.check_owner(name, *session, head.principal().as_deref()).await?;
                match method {
                    Method::GET | Method::HEAD => self.upload_status(name, *session).await,
                    Method::PATCH => self.patch_upload(name, *session, &head, body).await,
                    Method::PUT => self.finish_upload(name, *session, &head, body).await,
                    Method::DELETE => self.cancel_upload(name, *session).await,
                    _ => Err(ApiError::method(route.allowed())),
                }
            }
            _ => Err(ApiError::method(route.allowed())),
        }
    }
}

/// Asking for what cannot exist finds nothing; only pushing it is an error of another kind.
fn refuse(error: RouteError, method: &Method) -> ApiError {
    match error {
        RouteError::Tag(invalid) if *method != Method::PUT => ApiError::new(Code::ManifestUnknown, invalid.to_string()),
        error => error.into(),
    }
}
