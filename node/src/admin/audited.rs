//! What operators change, through the local socket or over the network, in the audit log: one record for each request that may change something,
//! written here and nowhere else, whatever came of it.
//!
//! Whoever carries a request out may say more of it than its path does: what was changed, and how it was before
//! ([`recorded`]); or that nothing was ([`unchanged`]). Bodies are looked into for names only, since passwords stand in
//! some.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use tracing::Instrument as _;

use super::operator::{Denied, Operator};
use super::router::{Why, refuse};
use crate::audit::{Audit, AuditEvent, Outcome};
use crate::peer::limits;

/// Paths that are asked with a body and change nothing. A path that is not here is recorded, a new one too.
const READING: [&str; 26] = [
    "/access/explain",
    "/audit/search",
    "/audit/verify",
    "/damage",
    "/damage/names",
    "/damage/uses",
    "/delete/preview",
    "/deleted-tags",
    "/group/show",
    "/history",
    "/job/show",
    "/jobs",
    "/namespace/aside",
    "/namespace/explain",
    "/namespace/force/look",
    "/namespace/show",
    "/namespaces",
    "/residency/history",
    "/retention/preview",
    "/robot/show",
    "/robots",
    "/rules",
    "/tombstones",
    "/usage",
    "/user/show",
    "/users",
];

/// Fields of requests that name what is changed. None of them is ever a secret.
const NAMES: [&str; 11] =
    ["prefix", "namespace", "repository", "name", "subject", "node", "disk", "directory", "region", "tag", "id"];

/// Whether a request of a path changes nothing.
fn reads(method: &Method, path: &str) -> bool {
    [Method::GET, Method::HEAD].contains(method) || READING.contains(&path)
}

/// What kind of change a path makes.
fn action(path: &str) -> &'static str {
    match path.split('/').nth(1).unwrap_or_default() {
        "namespace" => "policy",
        "node" => "node",
        "disk" => "disk",
        "region" => "region",
        "token" => "token",
        "delete" | "job" | "retention" => "delete",
        "restore" => "undelete",
        "user" => "user",
        "robot" => "robot",
        "secret" => "secret",
        "sessions" => "sessions",
        "group" => "member",
        "role" | "rule" => "access",
        "issuer" => "issuer",
        "certificate" => "certificate",
        "token-key" => "token-key",
        "encryption" => "encryption",
        "domain" => "domain",
        "authority" => "authority",
        _ => "operate",
    }
}

/// What is said of a change beyond its path.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    action: &'static str,
    target: String,
    repository: String,
    before: Option<String>,
    after: Option<String>,
}

impl Recorded {
    /// A change of this kind to this.
    pub(super) fn new(action: &'static str, target: impl Into<String>) -> Self {
        Self { action, target: target.into(), repository: String::new(), before: None, after: None }
    }

    /// The namespace that is concerned.
    pub(super) fn namespace(mut self, prefix: &str) -> Self {
        self.repository = if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() };
        self
    }

    /// What was made of what.
    pub(super) fn change(mut self, before: Option<String>, after: Option<String>) -> Self {
        (self.before, self.after) = (before, after);
        self
    }
}

/// A response that takes along what is to be recorded of it.
pub(super) fn recorded(mut response: Response, record: Recorded) -> Response {
    response.extensions_mut().insert(record);
    response
}

/// Marks a response to a request that has changed nothing.
#[derive(Clone, Copy, Debug)]
struct Unchanged;

/// A response to a request that could have changed something, and has not: it is not recorded if it was carried out.
pub(super) fn unchanged(mut response: Response) -> Response {
    response.extensions_mut().insert(Unchanged);
    response
}

/// Records what changes something.
pub(super) async fn audited(State(audit): State<Audit>, request: Request, next: Next) -> Response {
    if reads(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    if audit.holds_up() {
        let message = "nothing was changed: the audit log of this node cannot be written, and audit.required is set; \
                       regnode status says why it cannot";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, message.to_owned());
    }
    let (parts, body) = request.into_parts();
    let Some(operator) = parts.extensions.get::<Operator>().cloned() else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "it is not known who asks".to_owned());
    };
    let body = match Limited::new(body, limits::ADMIN_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("the request cannot be read: {error}")),
    };
    // A task: an operator who hangs up neither stops a change halfway nor keeps it out of the log.
    let change = change((audit, operator), parts, body, next).in_current_span();
    match tokio::spawn(change).await {
        Ok(response) => response,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The node ends.
            Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, format!("the request was not finished: {error}")),
        },
    }
}

/// Carries a change out and records it.
async fn change((audit, operator): (Audit, Operator), parts: Parts, body: Bytes, next: Next) -> Response {
    let path = parts.uri.path().to_owned();
    let named = names(&body, parts.uri.query());
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let outcome = outcome(response.status());
    let skipped = response.extensions_mut().remove::<Unchanged>().is_some() && outcome == Outcome::Done;
    if !skipped {
        let record = response.extensions_mut().remove::<Recorded>();
        let why = response.extensions_mut().remove::<Why>();
        // Recorded with this: not once more by whoever let the request in.
        response.extensions_mut().remove::<Denied>();
        audit.record(event(&operator, &path, (named, record), outcome, why)).await;
    }
    response
}

fn outcome(status: StatusCode) -> Outcome {
    if status.is_success() {
        Outcome::Done
    } else if status.is_client_error() {
        Outcome::Refused
    } else {
        Outcome::Failed
    }
}

fn event(
    operator: &Operator,
    path: &str,
    (named, record): (String, Option<Recorded>),
    outcome: Outcome,
    why: Option<Why>,
) -> AuditEvent {
    let record = record.unwrap_or_else(|| Recorded::new(action(path), named));
    // What was not carried out has changed nothing.
    let (before, after) = if outcome == Outcome::Done { (record.before, record.after) } else { (None, None) };
    let detail = match why {
        Some(Why(error)) => format!("{path}: {error}"),
        None => path.to_owned(),
    };
    operator
        .event(record.action)
        .repository(record.repository)
        .target(record.target)
        .change(before, after)
        .outcome(outcome)
        .detail(detail)
}

/// What a request names, in the order in which names are read.
fn names(body: &[u8], query: Option<&str>) -> String {
    let body = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    let text = |name: &&str| match body.get(name)? {
        serde_json::Value::String(text) if !text.is_empty() => Some(format!("{name} {text}")),
        serde_json::Value::String(_) if ["prefix", "namespace"].contains(name) => Some(format!("{name} /")),
        serde_json::Value::Number(number) => Some(format!("{name} {number}")),
        _ => None,
    };
    let asked = query.and_then(|query| query.strip_prefix("node=")).map(|node| format!("at node {node}"));
    NAMES.iter().filter_map(text).chain(asked).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::post;
    use tokio::time::{sleep, timeout};
    use tower::ServiceExt;

    use super::*;

    async fn asked(audit: &Audit, path: &str, body: &str) -> StatusCode {
        let reply = |response: fn() -> Response| post(move || async move { response() });
        let router = Router::new()
            .route(
                "/user/add",
                reply(|| recorded(done(), Recorded::new("user", "user:alice").change(None, Some("x".into())))),
            )
            .route("/namespace/set", reply(|| unchanged(done())))
            .route("/disk/add", reply(done))
            .route("/node/leave", reply(|| refuse(StatusCode::CONFLICT, "it holds shards".to_owned())))
            .route("/users", reply(done))
            .layer(from_fn_with_state(audit.clone(), audited))
            .layer(from_fn(super::super::operator::of_machine));
        let request = http::Request::post(path).body(Body::from(body.to_owned())).unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    fn done() -> Response {
        Response::new(Body::empty())
    }

    #[tokio::test]
    async fn a_change_is_recorded_with_what_is_known_of_it() {
        let audit = Audit::memory();
        let password = r#"{"name":"alice","password":"correct horse"}"#;
        assert_eq!(asked(&audit, "/user/add", password).await, StatusCode::OK);
        assert_eq!(
            asked(&audit, "/disk/add?node=n2", r#"{"directory":"/srv/b","password":"battery"}"#).await,
            StatusCode::OK
        );
        let events = audit.events();
        assert_eq!(events.len(), 2);
        assert_eq!(
            (events[0].action, events[0].actor.as_str(), events[0].target.as_str()),
            ("user", "operator", "user:alice")
        );
        assert_eq!(
            (events[0].after.as_deref(), events[0].outcome, events[0].way),
            (Some("x"), Outcome::Done, "socket")
        );
        assert_eq!((events[1].action, events[1].target.as_str()), ("disk", "directory /srv/b, at node n2"));
        let all = format!("{events:?}");
        assert!(!all.contains("horse") && !all.contains("battery"), "{all}");
    }

    #[tokio::test]
    async fn what_changes_nothing_is_not_recorded() {
        let audit = Audit::memory();
        asked(&audit, "/users", "{}").await;
        asked(&audit, "/namespace/set", r#"{"prefix":"acme"}"#).await;
        assert_eq!(audit.events(), []);
    }

    #[tokio::test]
    async fn a_refusal_is_recorded_with_its_reason() {
        let audit = Audit::memory();
        assert_eq!(asked(&audit, "/node/leave", r#"{"node":"n3"}"#).await, StatusCode::CONFLICT);
        let event = audit.events().remove(0);
        assert_eq!((event.action, event.target.as_str(), event.outcome), ("node", "node n3", Outcome::Refused));
        assert_eq!(event.detail, "/node/leave: it holds shards");
        assert_eq!(asked(&audit, "/no/such/path", "no json").await, StatusCode::NOT_FOUND);
        assert_eq!(audit.events()[1].action, "operate");
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_who_hangs_up_keeps_nothing_out_of_the_log() {
        let audit = Audit::memory();
        let slow = || async {
            sleep(Duration::from_secs(10)).await;
            done()
        };
        let router = Router::new().route("/disk/add", post(slow)).layer(from_fn_with_state(audit.clone(), audited));
        let router = router.layer(from_fn(super::super::operator::of_machine));
        let request = http::Request::post("/disk/add").body(Body::from(r#"{"directory":"/srv/b"}"#)).unwrap();
        timeout(Duration::from_secs(1), router.oneshot(request)).await.unwrap_err();
        assert_eq!(audit.events(), []);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(audit.events()[0].target, "directory /srv/b");
    }

    #[test]
    fn the_root_is_named() {
        assert_eq!(names(br#"{"prefix":"","home":"eu"}"#, None), "prefix /");
        assert_eq!(names(br#"{"id":7,"name":""}"#, None), "id 7");
        assert_eq!(names(b"", None), "");
    }
}
