//! Puts the rooms of a node together over its opened groups.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use raft::directory::Directory;
use raft::group::Group;
use raft::id::NodeId;
use rustls_pki_types::{CertificateDer, ServerName};
use storage::disk::Disks;
use tokio::sync::watch;

use super::callers::PeerCallers;
use super::groups::NodeGroups;
use super::health;
use super::outside::password_sources;
use crate::access::Access;
use crate::admin::{self, AccessChanges};
use crate::api::{self, ApiOptions, ApiParts};
use crate::audit::{self, Audit, AuditLog, AuditParts};
use crate::cluster::{Admitter, AgreedTime};
use crate::config::Settings;
use crate::deletion::DirectoryRecords;
use crate::environment::Environment;
use crate::federation::Federation;
use crate::gateway::{self, Gateway, GatewayParts};
use crate::identity::{ClusterId, ClusterKey, Identity, NodeCertificate, PeerTls, server_name};
use crate::limit::{self, Throttle};
use crate::login::{self, Login, LoginOptions, LoginParts};
use crate::members::{GroupSource, Members, MembersOptions, MembersResources};
use crate::peer::{Peers, Security, Trust};
use crate::regions::{self, Regions, RegionsParts};
use crate::registry::Registry;
use crate::serve::Protection;
use crate::shards::{DiskMetrics, LocalShards, Shards};
use crate::status::Readiness;
use crate::telemetry::Metrics;
use crate::tenant::Tenants;

/// How peers are reached and recognised.
pub(super) struct PeerSecurity {
    pub(super) client: Security,
    pub(super) trust: Trust,
    tls: Option<PeerTls>,
}

impl PeerSecurity {
    pub(super) fn new(cluster: ClusterId, tls: Option<PeerTls>) -> Self {
        match tls {
            Some(tls) => {
                let name_of = move |node: NodeId| {
                    ServerName::try_from(server_name(node, cluster)).expect("a node's name is a DNS name")
                };
                let region_of =
                    |certificate: &CertificateDer<'_>| Some(NodeCertificate::read(certificate).ok()?.region);
                let (name_of, region_of) = (Arc::new(name_of), Arc::new(region_of));
                let client = Security::tls_of_nodes(Arc::clone(&tls.client), name_of, region_of);
                Self { client, trust: Trust::Certificate, tls: Some(tls) }
            }
            None => Self { client: Security::Plaintext, trust: Trust::Claim, tls: None },
        }
    }

    /// How the peer port recognises its callers.
    pub(super) fn protection(&self, cluster: ClusterId, members: &Members) -> Protection {
        let Some(tls) = &self.tls else { return Protection::Plaintext };
        let callers = PeerCallers { cluster, tls: tls.clone(), members: members.clone() };
        Protection::MutualTls(Arc::clone(&tls.server), Arc::new(callers))
    }
}

/// The rooms of a running node.
pub(super) struct Rooms {
    pub(super) members: Members,
    pub(super) time: AgreedTime,
    pub(super) gateway: Gateway,
    pub(super) registry: Registry,
    pub(super) regions: Regions,
    pub(super) local: LocalShards,
    pub(super) admission: Admitter,
    pub(super) access: Access,
    pub(super) access_changes: AccessChanges,
    pub(super) audit: (AuditLog, audit::Keeping),
    pub(super) login: Login,
}

/// What the rooms are made from.
pub(super) struct Ground<'a> {
    pub(super) environment: &'a Environment,
    pub(super) settings: &'a Settings,
    pub(super) identity: &'a Identity,
    pub(super) disks: Arc<Disks>,
    pub(super) groups: &'a NodeGroups,
    pub(super) peers: Peers,
    pub(super) cluster_key: Option<ClusterKey>,
    pub(super) api_url: &'a str,
    pub(super) metrics: &'a Metrics,
}

/// Builds the rooms.
pub(super) async fn rooms(ground: Ground<'_>) -> Rooms {
    let Ground { environment, settings, identity, groups, metrics, .. } = ground;
    let (disks, peers) = (Arc::clone(&ground.disks), ground.peers.clone());
    let exec = environment.exec;
    let members = Members::start(
        MembersOptions { own: identity.node, region: identity.region, version: env!("CARGO_PKG_VERSION").to_owned() },
        MembersResources {
            source: Arc::new(GroupSource {
                directory: Arc::clone(&groups.directory),
                catalog: Arc::clone(&groups.catalog),
            }),
            peers: peers.clone(),
            disks: Arc::clone(&disks),
            clock: Arc::clone(&environment.clock),
            exec,
            metrics: metrics.register(crate::members::Metrics::register),
        },
    )
    .await;
    let shard_metrics = metrics.register(crate::shards::Metrics::register);
    metrics.register(|registry| {
        registry.register_collector(Box::new(DiskMetrics { disks: Arc::clone(&disks) }));
    });
    let local = LocalShards::new(identity.node, disks, exec, shard_metrics);
    let shards = Shards::new(local.clone(), peers.clone(), members.clone(), exec);
    let parts = RegionsParts {
        own: identity.region,
        members: members.clone(),
        peers,
        exec,
        metrics: metrics.register(regions::Metrics::register),
    };
    let regions = Regions::start(parts, Arc::<Group<Directory>>::clone(&groups.directory)).await;
    let gateway = Gateway::new(GatewayParts {
        catalog: Arc::clone(&groups.catalog),
        shards,
        members: members.clone(),
        entropy: Arc::clone(&environment.entropy),
        clock: Arc::clone(&environment.clock),
        exec,
        options: gateway::Options {
            block_size_bytes: settings.storage.block_size_bytes,
            upload_lifetime_seconds: settings.upload.lifetime_seconds,
            ..gateway::Options::default()
        },
        metrics: metrics.register(gateway::Metrics::register),
    });
    let registry = Registry::new(
        Arc::clone(&groups.catalog),
        exec,
        Arc::clone(&environment.entropy),
        Arc::clone(&environment.clock),
    );
    let time = AgreedTime {
        clock: Arc::clone(&environment.clock),
        members: members.clone(),
        max_clock_offset: Duration::from_secs(settings.clock.max_offset_seconds),
    };
    let directory: Arc<dyn DirectoryRecords> = Arc::<Group<Directory>>::clone(&groups.directory);
    let access = Access::start(Arc::clone(&directory), exec, Arc::clone(&environment.clock))
        .with_metrics(metrics.register(crate::access::Metrics::register))
        .with_people_keys(NonZeroU64::new(settings.access.people_keys_days).map(|days| days.get() * 24 * 3600));
    let (audit_log, audit_keeping) = audit::start(AuditParts {
        environment,
        settings: &settings.audit,
        data_dir: &settings.data_dir,
        node: identity.node.0,
        name: &identity.name,
        directory: Arc::<Group<Directory>>::clone(&groups.directory),
        metrics: metrics.register(audit::Metrics::register),
    });
    let audit = audit_log.audit().clone();
    let login = login(&ground, &access, &directory, &audit);
    let access_changes = AccessChanges {
        directory,
        entropy: Arc::clone(&environment.entropy),
        exec,
        own: identity.node,
        cluster: identity.cluster,
        cluster_key: ground.cluster_key.clone(),
        tokens_over_after_seconds: settings.tokens.lifetime_seconds.max(settings.tokens.refresh_days * 86_400) + 60,
    };
    let admission = Admitter::new(Arc::clone(&groups.directory), time.clone(), environment.clone(), ground.cluster_key);
    Rooms {
        members,
        time,
        gateway,
        registry,
        regions,
        local,
        admission,
        access,
        access_changes,
        audit: (audit_log, audit_keeping),
        login,
    }
}

/// Who somebody is, and the tokens that say so.
fn login(ground: &Ground<'_>, access: &Access, directory: &Arc<dyn DirectoryRecords>, audit: &Audit) -> Login {
    let Ground { environment, settings, identity, metrics, .. } = *ground;
    let federated = metrics.register(crate::federation::Metrics::register);
    Login::new(LoginParts {
        cluster: identity.cluster,
        cluster_key: ground.cluster_key.clone(),
        access: access.clone(),
        directory: Arc::clone(directory),
        audit: audit.clone(),
        entropy: Arc::clone(&environment.entropy),
        exec: environment.exec,
        sources: password_sources(settings, environment),
        outside: Some(Arc::new(Federation::new(access.clone(), environment, federated))),
        metrics: metrics.register(login::Metrics::register),
        options: LoginOptions {
            token_lifetime_seconds: settings.tokens.lifetime_seconds,
            refresh_lifetime_seconds: settings.tokens.refresh_days.saturating_mul(24 * 3600),
            session_seconds: settings.admin.session_hours.saturating_mul(3600),
            upload_lifetime_seconds: settings.upload.lifetime_seconds,
            public_url: settings.api.public_url.clone(),
            api_url: ground.api_url.to_owned(),
        },
    })
}

/// The registry's API, for clients and for those of them whose requests other regions hand on, and the token service, for
/// clients alone. The limits are those of both together.
pub(super) fn api_routers(
    rooms: &Rooms,
    settings: &Settings,
    metrics: &Metrics,
    throttle: Throttle,
    api_url: &str,
) -> (Router, Router) {
    let tenants = Tenants::new(rooms.access.clone(), [settings.api.public_url.as_str(), api_url]);
    let tokens = login::router(rooms.login.clone(), throttle.clone(), tenants.clone());
    let api = api::router(ApiParts {
        gateway: rooms.gateway.clone(),
        registry: rooms.registry.clone(),
        regions: rooms.regions.clone(),
        login: rooms.login.clone(),
        access: rooms.access.clone(),
        audit: rooms.audit.0.audit().clone(),
        throttle,
        tenants,
        options: ApiOptions {
            manifest_bytes_max: settings.manifest.max_size_bytes,
            idle_body_timeout: settings.idle_body_timeout(),
        },
        metrics: metrics.register(api::Metrics::register),
    });
    (api, tokens)
}

/// The limits of what clients ask for.
pub(super) fn throttle(settings: &Settings, metrics: &Metrics) -> Throttle {
    Throttle::new((&settings.limits).into(), metrics.register(limit::Metrics::register))
}

/// The administration over the network: what is added to what clients are served, and what is served on a listener of its own,
/// where tokens are had too. One of the two at most is there.
pub(super) fn network_routers(
    settings: &Settings,
    tokens: &Router,
    parts: admin::NetworkParts,
) -> (Option<Router>, Option<Router>) {
    if !settings.admin.enabled {
        return (None, None);
    }
    let router = admin::network_router(parts);
    if settings.admin.listen.is_empty() { (Some(router), None) } else { (None, Some(router.merge(tokens.clone()))) }
}

/// What clients are served: the API, the token service, the administration if it has no address of its own, health, and metrics,
/// to this machine alone, unless they have an address of their own.
pub(super) fn client_router(
    (api, tokens, administration): (Router, Router, Option<Router>),
    settings: &Settings,
    readiness: watch::Receiver<Readiness>,
    metrics: &Metrics,
) -> Router {
    let health = if settings.metrics.listen.is_empty() {
        health::for_clients(readiness, metrics.clone())
    } else {
        health::probes(readiness)
    };
    health.merge(tokens).merge(administration.unwrap_or_default()).merge(api)
}
