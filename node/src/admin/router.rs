//! The paths of the local socket: `GET /status`, `GET /work`, `POST /token`, `GET /config`, `GET /metrics`, and those of
//! `departures`, `regions`, `residency`, `damage`, `machine`, `namespaces`, `garbage`, `jobs`, `history`, `identities`,
//! `groups`, `access`, `issuers`, `authority` and `whoami`. What changes something is recorded in the audit log (`audited`).

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use raft::directory::Directory;
use raft::group::Group;

use super::types::{ConfigAnswer, ConfigEntry, ErrorAnswer, Status, TokenAnswer, TokenRequest, VERSION, WorkAnswer};
use super::{
    AccessChanges, access, audited, authority, carried, certificates, copies, damage, departures, domains, encryption,
    garbage, groups, identities, issuers, moves, namespaces, operator, regions, remote, residency, takeover, whoami,
};
use crate::access::Access;
use crate::audit::{Audit, AuditLog};
use crate::cluster::{AgreedTime, Departures, RegionChanges, TokenError, create_token, region_to_join};
use crate::config::{KEYS, Settings};
use crate::deletion::Deletion;
use crate::environment::Entropy;
use crate::members::Members;
use crate::peer::Peers;
use crate::replication::{Replication, Source};
use crate::reseal::Reseal;
use crate::residency::Residency;
use crate::scrub::Scrub;
use crate::shards::LocalDisks;
use crate::status::Collector;
use crate::telemetry::{METRICS_CONTENT_TYPE, Metrics};

/// Name of the socket in the data directory.
pub const SOCKET: &str = "regnode.sock";

/// Longest lifetime of a token.
const TOKEN_LIFETIME_SECONDS_MAX: u64 = 30 * 24 * 3600;

/// What the local socket answers from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The cluster's status.
    pub collector: Collector,
    /// Nodes and disks that go.
    pub departures: Departures,
    /// Regions that come, change and go.
    pub region_changes: RegionChanges,
    /// The own disks.
    pub disks: LocalDisks,
    /// Their scrub.
    pub scrub: Scrub,
    /// What the node keeps under its data keys.
    pub reseal: Reseal,
    /// Policies, garbage and deletions.
    pub deletion: Deletion,
    /// Users, robots, groups, roles, rules, issuers and token keys that come, change and go.
    pub access_changes: AccessChanges,
    /// Who may do what, as this node applies it.
    pub access: Access,
    /// Where changes are recorded.
    pub audit: Audit,
    /// The same for reading.
    pub audit_log: AuditLog,
    /// What regions with copies ask of this one.
    pub source: Source,
    /// What this region has copies of.
    pub replication: Replication,
    /// Where everything rests.
    pub residency: Residency,
    /// Where tokens are kept.
    pub directory: Arc<Group<Directory>>,
    /// By what time they expire.
    pub time: AgreedTime,
    /// Where tokens can be used.
    pub members: Members,
    /// The way to other nodes' machines.
    pub peers: Peers,
    /// Own peer address, as other nodes know it.
    pub peer_address: String,
    /// The configuration in force.
    pub settings: Arc<Settings>,
    /// All metrics.
    pub metrics: Metrics,
    /// Secrets of tokens.
    pub entropy: Arc<dyn Entropy>,
}

impl FromRef<Admin> for AccessChanges {
    fn from_ref(admin: &Admin) -> Self {
        admin.access_changes.clone()
    }
}

impl Admin {
    /// The cluster's status.
    pub async fn status(&self) -> Status {
        self.collector.status(copies::of_status(self)).await
    }

    /// What the background work has before it.
    #[must_use]
    pub fn work(&self) -> WorkAnswer {
        let overview = self.collector.overviews.borrow().as_ref().clone();
        WorkAnswer { version: VERSION, work: overview }
    }

    /// The node that a request names, or this one: by its id, since a successor may have its name.
    pub(super) fn node_or_own(&self, named: Option<String>) -> String {
        named.unwrap_or_else(|| format!("#{}", self.collector.identity.node))
    }

    /// Makes a join token for a machine of a region, or of the own one if none is named. It is good for any region: the
    /// name is for the command that is shown.
    pub async fn create_token(&self, lifetime_seconds: u64, region: Option<&str>) -> Result<TokenAnswer, TokenError> {
        let region = region_to_join(&self.directory, self.members.region(), region)?;
        let token = create_token(&self.directory, &self.time, self.entropy.as_ref(), lifetime_seconds).await?;
        let others = self.members.live().into_iter().filter(|member| member.id != self.members.own());
        let addresses = std::iter::once(self.peer_address.clone()).chain(others.map(|member| member.address)).collect();
        Ok(TokenAnswer { version: VERSION, token: token.to_string(), addresses, region, lifetime_seconds })
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> ConfigAnswer {
        let entry = |key: &crate::config::Key| ConfigEntry {
            key: key.name.to_owned(),
            value: key.value(&self.settings),
            default: key.default_value(),
        };
        ConfigAnswer { version: VERSION, keys: KEYS.iter().map(entry).collect() }
    }
}

/// The paths, for whoever has the local socket.
pub fn router(admin: Admin) -> Router {
    routes(admin).layer(from_fn(operator::of_machine))
}

/// The paths, for whom the request says ([`Operator`](super::Operator)).
pub(super) fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/status", get(|State(admin): State<Admin>| async move { Json(admin.status().await) }))
        .route("/work", get(|State(admin): State<Admin>| async move { Json(admin.work()) }))
        .route("/token", post(token))
        .route("/config", get(|State(admin): State<Admin>| async move { Json(admin.config()) }))
        .route("/metrics", get(|State(admin): State<Admin>| async move { metrics(&admin.metrics) }))
        .merge(departures::router())
        .merge(regions::router())
        .merge(takeover::router())
        .merge(residency::router())
        .merge(copies::router())
        .merge(damage::router())
        .merge(remote::router(&admin))
        .merge(encryption::of_machine())
        .merge(namespaces::router())
        .merge(moves::router())
        .merge(garbage::router())
        .merge(carried::router(&admin))
        .merge(identities::router())
        .merge(groups::router())
        .merge(access::router())
        .merge(access::explaining())
        .merge(issuers::router())
        .merge(certificates::router())
        .merge(domains::router())
        .merge(authority::router())
        .merge(whoami::router())
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "there is no such path".to_owned()) })
        .layer(from_fn_with_state(admin.audit.clone(), audited::audited))
        .with_state(admin)
}

/// All metrics as a response.
pub(crate) fn metrics(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.encode()).into_response()
}

async fn token(State(admin): State<Admin>, Json(request): Json<TokenRequest>) -> Response {
    let lifetime = request.lifetime_seconds;
    if !(1..=TOKEN_LIFETIME_SECONDS_MAX).contains(&lifetime) {
        let message =
            format!("a token lives from 1 to {TOKEN_LIFETIME_SECONDS_MAX} seconds, {lifetime} were asked for");
        return refuse(StatusCode::BAD_REQUEST, message);
    }
    match admin.create_token(lifetime, request.region.as_deref()).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error @ (TokenError::NotFounded | TokenError::Propose(_))) => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        Err(error @ TokenError::UnknownRegion { .. }) => refuse(StatusCode::NOT_FOUND, error.to_string()),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Why a request was refused, for the audit log: travels with the response.
#[derive(Clone, Debug)]
pub(super) struct Why(pub(super) String);

pub(super) fn refuse(status: StatusCode, error: String) -> Response {
    let why = Why(error.clone());
    let mut response = (status, Json(ErrorAnswer { version: VERSION, error })).into_response();
    response.extensions_mut().insert(why);
    response
}
