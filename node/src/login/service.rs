//! The token service over HTTP: `GET /token` with Basic credentials (distribution's token specification), `POST /token` with
//! a form (OAuth 2.0: password, refresh token, and RFC 8693's exchange of other tokens), and the public keys.
//!
//! Whoever shows nothing gets a token too, which says what everybody may: Docker asks for one before each pull.

use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use raft::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::authorization::{Credentials, credentials};
use super::form::Form;
use super::grants::grants;
use super::keys::Keys;
use super::realm::TOKEN_PATH;
use super::scope::{scopes, within};
use super::token::{TokenKind, sign};
use super::ways::MadeFor;
use super::{Known, Login, LoginError, LoginOptions};
use crate::access::{Grant, GrantKind, Principal};
use crate::audit::AuditEvent;
use crate::limit::Throttle;
use crate::serve::Client;
use crate::tenant::{Strayed, Tenant, Tenants};

/// Longest form: a token of somebody else is some kilobytes.
const FORM_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a longer one that are read all the same.
const THROWN_AWAY_MAX: usize = 4 << 20;
/// Bound on a form's arrival.
const FORM_WITHIN: Duration = Duration::from_secs(10);
/// Seconds after which it is worth trying again when it cannot be done now.
const RETRY_SECONDS: u64 = 1;
/// How long others may keep the public keys.
const KEYS_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TYPES: [&str; 2] = ["urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"];

/// The token service and the public keys. Who asks for tokens is not known yet: his address alone counts for the limits.
pub fn router(login: Login, throttle: Throttle, tenants: Tenants) -> Router {
    Router::new()
        .route(TOKEN_PATH, get(by_query).post(by_form))
        .route("/.well-known/jwks.json", get(published))
        .with_state(Service { login, throttle, tenants })
}

#[derive(Clone)]
struct Service {
    login: Login,
    throttle: Throttle,
    tenants: Tenants,
}

impl Service {
    /// Who asks, with the tenant whose names he means.
    fn client(&self, parts: &mut Parts) -> Result<Client, Strayed> {
        self.tenants.enter(parts)?;
        let unknown = || Client::at(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get::<Client>().cloned().unwrap_or_else(unknown))
    }

    /// The answer to a client who has asked too much. Each request counts, before anything is read or verified.
    fn too_soon(&self, client: &Client) -> Option<Response<Body>> {
        let late = self.throttle.admit(&Principal::Anonymous.to_string(), client.address, false).err()?;
        let body = body_of("TOOMANYREQUESTS", "slow_down", &late.to_string());
        let mut response = answer(StatusCode::TOO_MANY_REQUESTS, body.to_string());
        response.headers_mut().insert(RETRY_AFTER, late.seconds.into());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }
}

/// What somebody may ask for besides an access token.
#[derive(Clone, Copy)]
struct Terms {
    /// Whether he wants a refresh token.
    offline: bool,
    /// Whether what he has shown is enough to administer with.
    administers: bool,
}

impl Terms {
    /// What a refresh token says and how many seconds it counts, if there is one. Only who logs in here has one for images.
    /// To administer, people have one wherever they log in: it is over soon.
    fn refresh(self, known: &Known, granted: &[Grant], options: &LoginOptions) -> Option<(Vec<Grant>, u64)> {
        let administers = granted.iter().any(Grant::is_administration);
        if !self.offline {
            None
        } else if administers && (known.lasting || matches!(known.session.principal, Principal::User(_))) {
            Some((vec![Grant::administration()], options.session_seconds))
        } else {
            known.lasting.then(|| (Vec::new(), options.refresh_lifetime_seconds))
        }
    }
}

/// Why there is no token.
enum ServiceError {
    /// Whoever asks was not recognised.
    Login(LoginError),
    /// The request makes no sense.
    Request(StatusCode, &'static str, String),
}

impl From<LoginError> for ServiceError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

fn invalid(error: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::Request(StatusCode::BAD_REQUEST, error, message.into())
}

/// An answer with a token.
#[derive(Serialize)]
struct Answer {
    token: String,
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    issued_at: String,
    /// What was granted, as scopes.
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

async fn by_query(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    let client = match service.client(&mut parts) {
        Ok(client) => client,
        Err(strayed) => return stray(&strayed),
    };
    if let Some(refused) = service.too_soon(&client) {
        return refused;
    }
    let login = service.login;
    let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let known = match credentials(&parts.headers) {
        Ok(shown) => login.known(shown, &client).await,
        Err(error) => Err(error),
    };
    let outcome = match known {
        Ok(known) => {
            let wants_refresh = form.get("offline_token").is_some_and(|value| value == "true" || value == "1");
            login.token((&known, &client), &form, login.terms(&known, wants_refresh)).await
        }
        Err(error) => Err(error.into()),
    };
    login.answered(outcome, &parts, &client)
}

async fn by_form(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let client = match service.client(&mut parts) {
        Ok(client) => client,
        Err(strayed) => return stray(&strayed),
    };
    if let Some(refused) = service.too_soon(&client) {
        return refused;
    }
    let login = service.login;
    let outcome = match timeout(FORM_WITHIN, whole(body)).await {
        Ok(Ok(Some(form))) => login.granted(&parts, &client, &Form::parse(&form)).await,
        Ok(Ok(None)) => {
            let message = format!("a token request has at most {FORM_BYTES_MAX} bytes");
            Err(ServiceError::Request(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", message))
        }
        Ok(Err(_)) => Err(invalid("invalid_request", "the request did not arrive as a whole")),
        Err(_late) => {
            let message = "the request did not arrive in time".to_owned();
            Err(ServiceError::Request(StatusCode::REQUEST_TIMEOUT, "invalid_request", message))
        }
    };
    login.answered(outcome, &parts, &client)
}

/// The whole form; `None` when it is too long. Then the rest is thrown away: with unread bytes the connection would be closed,
/// and the client might never see the answer, or send its next request into that.
async fn whole(body: Body) -> Result<Option<BytesMut>, axum::Error> {
    let (mut form, mut bytes) = (BytesMut::new(), 0);
    let mut stream = body.into_data_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        bytes += piece.len();
        if bytes > THROWN_AWAY_MAX {
            break;
        }
        if bytes <= FORM_BYTES_MAX {
            form.extend_from_slice(&piece);
        }
    }
    Ok((bytes <= FORM_BYTES_MAX).then_some(form))
}

async fn published(State(Service { login, .. }): State<Service>) -> Response<Body> {
    match login.rights() {
        Ok(rights) => {
            let keys = Keys::published(&rights, login.shared.access.now());
            let mut response = answer(StatusCode::OK, keys.to_string());
            response.headers_mut().insert(CACHE_CONTROL, KEYS_KEPT);
            response
        }
        Err(error) => refused("temporarily_unavailable", &error),
    }
}

impl Login {
    /// Of somebody who has shown a name and what stands for a password, or nothing.
    fn terms(&self, known: &Known, offline: bool) -> Terms {
        Terms { offline, administers: !known.is_by_id_token() || self.administers_by_any_token() }
    }

    /// An OAuth 2.0 request.
    async fn granted(&self, parts: &Parts, client: &Client, form: &Form) -> Result<Answer, ServiceError> {
        let offline = form.get("access_type") == Some("offline") || form.get("offline_token") == Some("true");
        match form.get("grant_type") {
            Some("password") => {
                let known = match (form.get("username"), form.get("password")) {
                    (None, None) => self.known(credentials(&parts.headers)?, client).await?,
                    (name, password) => {
                        let shown = Credentials::Basic {
                            name: name.unwrap_or_default().to_owned(),
                            password: password.unwrap_or_default().to_owned(),
                        };
                        self.known(shown, client).await?
                    }
                };
                self.token((&known, client), form, self.terms(&known, offline)).await
            }
            Some("refresh_token") => {
                let token = form.get("refresh_token");
                let token = token.ok_or_else(|| invalid("invalid_request", "refresh_token is missing"))?;
                let (known, administers) = self.noted(self.refresh(token), client).await?;
                let terms = Terms { offline: false, administers };
                let answer = self.token((&known, client), form, terms).await?;
                // The same one goes on to count: clients that ask at the same time would lose each other's.
                Ok(Answer { refresh_token: Some(token.to_owned()), ..answer })
            }
            Some(EXCHANGE) => {
                let (known, made_for) = self.exchanged(client, form).await?;
                let administers =
                    !known.is_by_id_token() || made_for == MadeFor::Here || self.administers_by_any_token();
                let answer = self.token((&known, client), form, Terms { offline, administers }).await?;
                Ok(Answer { issued_token_type: Some(ACCESS_TOKEN), ..answer })
            }
            Some(other) => {
                let message = format!("the grant type {other:?} is not known: password, refresh_token or {EXCHANGE}");
                Err(invalid("unsupported_grant_type", message))
            }
            None => Err(invalid("invalid_request", "grant_type is missing: password, refresh_token or token exchange")),
        }
    }

    /// Somebody's ID token was made for another login than the one that brings it.
    fn other_login(&self) -> LoginError {
        let url = &self.shared.options.public_url;
        let here =
            if url.is_empty() { String::new() } else { format!("; log in at {url}, which is this registry's URL") };
        LoginError::Malformed(format!("the token is of another login: its nonce is another one{here}"))
    }

    /// Whoever a token stands for; that one does not count is a record.
    async fn noted<K>(&self, found: Result<K, LoginError>, client: &Client) -> Result<K, LoginError> {
        if let Err(error @ (LoginError::Wrong | LoginError::Malformed(_) | LoginError::Untrusted(_))) = &found {
            self.record_bad_token(&error.reason(), client.address).await;
        }
        found
    }

    /// Whoever shows somebody else's token (RFC 8693): a robot if one is named, a person otherwise.
    async fn exchanged(&self, client: &Client, form: &Form) -> Result<(Known, MadeFor), ServiceError> {
        let token = form.get("subject_token");
        let token = token.ok_or_else(|| invalid("invalid_request", "subject_token is missing"))?;
        if !form.get("subject_token_type").is_some_and(|kind| SUBJECT_TYPES.contains(&kind)) {
            let message = format!("subject_token_type has to be one of {}", SUBJECT_TYPES.join(", "));
            return Err(invalid("invalid_request", message));
        }
        let named = ["audience", "client_id", "username"].into_iter().filter_map(|name| form.get(name));
        let robot = named.filter(|name| name.starts_with("robot+")).map(str::to_owned).next();
        if let Some(robot) = robot {
            return Ok((self.basic(&robot, token, client.address).await?, MadeFor::Untold));
        }
        let made_for = self.made_for(token, form, client);
        let found = if made_for == MadeFor::Another { Err(self.other_login()) } else { self.person(token).await };
        Ok((self.noted(found, client).await?, made_for))
    }

    /// A token for somebody, of what was asked for as far as he may.
    async fn token(
        &self,
        (known, client): (&Known, &Client),
        form: &Form,
        terms: Terms,
    ) -> Result<Answer, ServiceError> {
        let shared = &self.shared;
        if let Some(service) = form.get("service").filter(|service| *service != shared.names.service) {
            let message = format!("this is the token service of {:?}, not of {service:?}", shared.names.service);
            return Err(invalid("invalid_target", message));
        }
        let (rights, now) = (self.rights()?, shared.access.now());
        let (scopes, tenant) = (scopes(form.all("scope"), client.host.as_deref()), client.tenant.as_ref());
        let scopes = tenant.map(|tenant| within(scopes.clone(), tenant)).unwrap_or(scopes);
        let mut granted = grants(&rights, &known.caller(&rights, client), &scopes, now);
        granted.retain(|grant| terms.administers || !grant.is_administration());
        let signed = |kind: TokenKind, access: &[Grant], lifetime_seconds| {
            shared.metrics.issued(kind.name());
            let (kind, time) = ((kind, &shared.names), (now, lifetime_seconds));
            let token = sign(kind, (&known.session, access), time, (&shared.keys, &rights), shared.entropy.as_ref());
            token.ok_or_else(|| {
                let message =
                    "there is no key to sign tokens with: the operator makes one with regnode token-key rotate";
                LoginError::Unavailable(message.to_owned())
            })
        };
        let expires_in = shared.options.token_lifetime_seconds;
        let token = signed(TokenKind::Access, &granted, expires_in)?;
        let refresh_token = match terms.refresh(known, &granted, &shared.options) {
            Some((access, lifetime)) => Some(signed(TokenKind::Refresh, &access, lifetime)?),
            None => None,
        };
        let scope = written(&granted, |full| full);
        if known.session.principal != Principal::Anonymous {
            let event = AuditEvent::new("login", known.session.principal.to_string());
            let event = event.at(tenant.map(Tenant::domain));
            let detail = if scope.is_empty() { "a token".to_owned() } else { format!("a token for {scope}") };
            shared.audit.record(event.by(known.way.name()).from(client.address).detail(detail)).await;
        }
        Ok(Answer {
            access_token: token.clone(),
            token,
            token_type: "Bearer",
            expires_in,
            issued_at: moment(now),
            scope: match tenant {
                Some(tenant) => written(&granted, |full| tenant.own_namespace(full)),
                None => scope,
            },
            refresh_token,
            issued_token_type: None,
        })
    }

    fn answered(&self, outcome: Result<Answer, ServiceError>, parts: &Parts, client: &Client) -> Response<Body> {
        let mut response = match outcome {
            Ok(granted) => match serde_json::to_string(&granted) {
                Ok(body) => answer(StatusCode::OK, body),
                Err(error) => refused("server_error", &LoginError::Unavailable(error.to_string())),
            },
            Err(ServiceError::Login(error)) => {
                let mut response = refused("invalid_grant", &error);
                if response.status() == StatusCode::UNAUTHORIZED {
                    let text = format!("Basic realm=\"{}\"", self.realm(&parts.headers, client));
                    let value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
                    response.headers_mut().insert(WWW_AUTHENTICATE, value);
                }
                response
            }
            Err(ServiceError::Request(status, error, message)) => {
                answer(status, body_of("UNSUPPORTED", error, &message).to_string())
            }
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The scopes that were granted, as clients write them, with the names of repositories as `shown` says them.
fn written<'a>(granted: &'a [Grant], shown: impl Fn(&'a str) -> &'a str) -> String {
    let scopes = granted.iter().map(|grant| {
        let (kind, name) = match grant.kind {
            GrantKind::Registry => ("registry", grant.name.as_str()),
            _ => ("repository", shown(&grant.name)),
        };
        format!("{kind}:{name}:{}", grant.actions.join(","))
    });
    scopes.collect::<Vec<_>>().join(" ")
}

/// A moment as RFC 3339 has it.
fn moment(now: Timestamp) -> String {
    // The format ends with the year 9999.
    let milliseconds = now.0.min(253_402_300_799_000);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(milliseconds)).to_string()
}

/// An error in the words of registries, which Docker reads, and in those of OAuth 2.0.
fn body_of(code: &str, error: &str, message: &str) -> Value {
    json!({ "errors": [{ "code": code, "message": message }], "error": error, "error_description": message })
}

/// The answer where it cannot be told whose names are meant.
fn stray(strayed: &Strayed) -> Response<Body> {
    let (status, code, error) = match strayed {
        Strayed::Misdirected { .. } => (StatusCode::MISDIRECTED_REQUEST, "UNSUPPORTED", "invalid_request"),
        Strayed::Unknown | Strayed::Unconfirmed(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "temporarily_unavailable")
        }
    };
    let mut response = answer(status, body_of(code, error, &strayed.to_string()).to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(error: &str, login: &LoginError) -> Response<Body> {
    let (status, code, error, retry) = match login {
        LoginError::Wrong | LoginError::Malformed(_) | LoginError::Untrusted(_) => {
            (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", error, None)
        }
        LoginError::Locked { retry_after_seconds } => {
            (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "slow_down", Some(*retry_after_seconds))
        }
        LoginError::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "temporarily_unavailable", Some(RETRY_SECONDS))
        }
    };
    let mut response = answer(status, body_of(code, error, &login.to_string()).to_string());
    if let Some(seconds) = retry {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn answer(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
