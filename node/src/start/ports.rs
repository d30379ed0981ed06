//! The ports of a node: which router is served where, to whom, and with what limits.

use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::health;
use super::keeper::Keeper;
use super::listen::{Listeners, local_server};
use super::servers::Servers;
use super::wire;
use crate::admin::{self, Admin};
use crate::config::{Networks, Settings};
use crate::environment::Environment;
use crate::limit::Throttle;
use crate::login::Login;
use crate::serve::{self, Front, Limits, Patience, Protection, Server};
use crate::status::Readiness;
use crate::telemetry::Metrics;

/// Most connections of those who come by plain HTTP, to be sent to TLS.
const ACME_CONNECTIONS_MAX: usize = 512;
/// The same from one address: nobody takes the authority's.
const ACME_ADDRESS_CONNECTIONS_MAX: u32 = 32;
/// How long such a connection may take to ask, and to do nothing.
const ACME_PATIENCE: Duration = Duration::from_secs(15);

/// Bound on the end of peers' requests.
const PEER_DRAIN: Duration = Duration::from_secs(2);

/// What others than the node itself are served.
pub(super) struct Outward<'a> {
    pub(super) api: Router,
    pub(super) tokens: Router,
    pub(super) login: Login,
    pub(super) throttle: Throttle,
    pub(super) peer: (Router, Protection),
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) metrics: &'a Metrics,
}

impl Outward<'_> {
    /// Serves it, and the node's own machine its administration: the listeners for clients, and all others, which end later.
    pub(super) fn serve(
        self,
        keeper: &Keeper,
        admin: &Admin,
        mut listeners: Listeners,
        tasks: &mut JoinSet<()>,
    ) -> (Servers, Servers) {
        let Self { api, tokens, login, throttle, peer, readiness, metrics } = self;
        let settings = &keeper.settings;
        let of_challenges = throttle.clone();
        let network =
            admin::NetworkParts { admin: admin.clone(), login, throttle, allow: settings.admin.allow.clone() };
        let (beside, apart) = wire::network_routers(settings, &tokens, network);
        let cluster_key = admin.access_changes.cluster_key.clone();
        let acme = keeper.start_acme(cluster_key, &admin.audit, of_challenges, metrics, &mut listeners, tasks);
        let api = wire::client_router((api, tokens, beside), settings, readiness.clone(), metrics).merge(acme.beside);
        let ports = Ports {
            network: apart,
            api,
            acme: acme.apart,
            peer,
            admin: admin::router(admin.clone()),
            health: health::router(readiness, metrics.clone()),
            refused: metrics.register(serve::Metrics::register),
        };
        open(&keeper.environment, settings, listeners, ports, tasks)
    }
}

/// What is served on each port.
struct Ports {
    api: Router,
    /// The administration over the network, if it has a listener of its own.
    network: Option<Router>,
    /// What answers an ACME authority, if it has a listener of its own.
    acme: Option<Router>,
    peer: (Router, Protection),
    admin: Router,
    health: Router,
    /// Counts who was let go at the door.
    refused: serve::Metrics,
}

/// Serves on all listeners: those for clients, and all others, which end later.
fn open(
    environment: &Environment,
    settings: &Settings,
    listeners: Listeners,
    ports: Ports,
    tasks: &mut JoinSet<()>,
) -> (Servers, Servers) {
    let mut peers = Servers::new(PEER_DRAIN);
    let (router, protection) = ports.peer;
    let limits = Limits::peers();
    let front = Front::default();
    peers.start(Server { name: "peer", listener: listeners.peer, router, protection, front, limits }, environment);
    if let Some(listener) = listeners.local {
        peers.start(local_server("admin", listener, ports.admin, Front::default()), environment);
    }
    if let Some(listener) = listeners.metrics {
        let front = Front::metrics(settings, ports.refused.clone());
        peers.start(local_server("metrics", listener, ports.health, front), environment);
    }
    let mut clients = Servers::new(Duration::from_secs(settings.shutdown.drain_seconds));
    if let (Some(listener), Some(router)) = (listeners.admin, ports.network) {
        let front = Front::administration(settings, ports.refused.clone());
        let protection = listeners.api_protection.clone();
        let limits = Limits::clients(settings.api.max_connections as usize).with_stall(settings.idle_body_timeout());
        clients.start(Server { name: "administration", listener, router, protection, front, limits }, environment);
    }
    if let (Some(listener), Some(router)) = (listeners.acme, ports.acme) {
        // Authorities ask from wherever they like.
        let (allow, connections_per_address) = (Networks::default(), ACME_ADDRESS_CONNECTIONS_MAX);
        let front = Front { allow, connections_per_address, ..Front::clients(settings, ports.refused.clone()) };
        let patience = Some(Patience { idle: ACME_PATIENCE, stall: ACME_PATIENCE });
        let limits = Limits { header_timeout: ACME_PATIENCE, patience, ..Limits::clients(ACME_CONNECTIONS_MAX) };
        let protection = Protection::Plaintext;
        clients.start(Server { name: "acme", listener, router, protection, front, limits }, environment);
    }
    let api = Server {
        name: "api",
        listener: listeners.api,
        router: ports.api,
        protection: listeners.api_protection,
        front: Front::clients(settings, ports.refused),
        limits: Limits::clients(settings.api.max_connections as usize).with_stall(settings.idle_body_timeout()),
    };
    clients.start(api, environment);
    if let Some(certificate) = listeners.api_certificate {
        tasks.spawn(certificate.follow(environment.exec));
    }
    (clients, peers)
}
