//! Starts a node: opens what is on disk, then the groups, then the rooms, the listeners and the tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raft::directory::Directory;
use raft::group::Group;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::data_dir::{self, DataDir};
use super::error::StartError;
use super::groups::NodeGroups;
use super::keeper::Keeper;
use super::listen::Listeners;
use super::node::Node;
use super::ports::Outward;
use super::wire::{self, Ground, PeerSecurity, Rooms};
use crate::background::{self, Background};
use crate::cluster::{self, AgreedTime, Certificates};
use crate::config::Settings;
use crate::deletion::{Deletion, DeletionMetrics, DirectoryRecords};
use crate::environment::Environment;
use crate::gateway::Gateway;
use crate::identity::{Identity, PeerTls};
use crate::peer::{self, Peers};
use crate::replication::Source;
use crate::reseal;
use crate::residency;
use crate::scrub;
use crate::status::{GroupMetrics, Readiness};
use crate::telemetry::{Metrics, ProcessMetrics};

impl Node {
    /// Starts the node that the data directory was set up for. It serves when this returns, though it may not be
    /// ready yet: [`wait_ready`](Self::wait_ready).
    pub async fn start(
        environment: Environment,
        settings: Settings,
        certificates: Certificates,
    ) -> Result<Self, StartError> {
        cluster::peer_address(&settings)?;
        let settings = Arc::new(settings);
        let DataDir { store, identity, founding, founds_region, credentials, disks, vault, lock } =
            data_dir::open(&environment, &settings, certificates).await?;
        let listeners = Listeners::open(&environment, &settings).await?;
        let api_address = listeners.api_address;
        let api_url = api_url(&settings, api_address);
        announce(&identity, &settings, &api_url);

        let metrics = Metrics::new();
        let process = metrics.register(|registry| ProcessMetrics::register(registry, environment.clock.now()));
        let tls = credentials.as_ref().map(|held| PeerTls::new(held, &environment.clock)).transpose()?;
        let security = PeerSecurity::new(identity.cluster, tls.clone());
        let peer_metrics = metrics.register(peer::Metrics::register);
        let network = Arc::clone(&environment.network);
        let peers = Peers::new(identity.node, identity.region, network, security.client.clone(), peer_metrics.clone());
        let groups = NodeGroups::open(&environment, &settings, &identity, &store, Arc::new(peers.clone())).await?;
        register(&groups, &metrics);
        let info = cluster::node_info(&identity.name, &settings, &api_url, settings.peer_address(), &disks);
        let rooms = wire::rooms(Ground {
            environment: &environment,
            settings: &settings,
            identity: &identity,
            disks: Arc::clone(&disks),
            groups: &groups,
            peers: peers.clone(),
            cluster_key: credentials.map(|held| held.cluster_key),
            api_url: &api_url,
            metrics: &metrics,
        })
        .await;

        let readiness = watch::channel(Readiness::starting()).0;
        let (report, founding_failure) = watch::channel(None);
        let throttle = wire::throttle(&settings, &metrics);
        let (api, tokens) = wire::api_routers(&rooms, &settings, &metrics, throttle.clone(), &api_url);
        let Rooms { members, time, gateway, registry, regions, local, admission, access, access_changes, audit, login } =
            rooms;
        let background = background(&settings, (&gateway, &groups.directory), &time, &metrics);
        let mut tasks = JoinSet::new();
        tasks.spawn(regions.keep());
        tasks.spawn(access.clone().keep());
        tasks.spawn(login.keep());
        let pulls = registry.pulls().clone();
        tasks.spawn(pulls.clone().keep(regions.clone()));
        let source = Source::new(&gateway, regions.clone(), pulls.clone());
        let keeper = Keeper { environment, settings, identity, store, members, groups };
        let local_disks = keeper.local_disks(&disks, &mut tasks);
        let scrub = keeper.scrub(local.clone(), metrics.register(scrub::Metrics::register));
        let deletion = Deletion::new(&gateway, Arc::clone(&keeper.groups.directory), background.overviews(), regions);
        let reseal = keeper.reseal(vault, local.clone(), metrics.register(reseal::Metrics::register));
        let machine = (local_disks.clone(), scrub.clone(), peers, reseal.clone());
        let residency = keeper.residency(&deletion, &disks, &machine.2, metrics.register(residency::Metrics::register));
        tasks.spawn(residency.keep());
        let (replication, puller) = keeper.replication(&gateway, &deletion, &metrics);
        let data = (deletion, source, residency, replication);
        let (audit_log, audit_keeping) = audit;
        let trust = (access, access_changes, audit_log);
        let admin = keeper.admin(&time, &metrics, background.overviews(), machine, data, trust);
        let forwarded = TaskTracker::new();
        let handed_on = (api.clone(), forwarded.clone());
        let peer_router = keeper.peer_router(security.trust, handed_on, local, admission, &admin, peer_metrics);
        let peer = (peer_router, security.protection(keeper.identity.cluster, &keeper.members));
        let routers =
            Outward { api, tokens, login, throttle, peer, readiness: readiness.subscribe(), metrics: &metrics };
        let (clients, peers) = routers.serve(&keeper, &admin, listeners, &mut tasks);
        keeper.spawn_founding(&mut tasks, (founding, founds_region), &info, report);
        tasks.spawn(keeper.info(info, Arc::clone(&disks)));
        keeper.spawn_membership(&mut tasks, time, tls, &admin.peers);
        tasks.spawn(keeper.readiness(admin.access.clone(), founding_failure, readiness.clone(), process).keep());
        let Keeper { environment, settings, identity, members, groups, .. } = keeper;
        Ok(Self {
            identity,
            api_address,
            api_url,
            admin,
            readiness,
            members,
            gateway,
            pulls,
            background,
            puller,
            scrub,
            reseal,
            local_disks,
            clients,
            forwarded,
            peers,
            audit: audit_keeping,
            tasks,
            groups,
            disks,
            exec: environment.exec,
            data_dir: settings.data_dir.clone(),
            drain_timeout: Duration::from_secs(settings.shutdown.drain_seconds),
            lock,
        })
    }
}

fn announce(identity: &Identity, settings: &Settings, api_url: &str) {
    info!(
        node = %identity.node, name = identity.name, cluster = %identity.cluster, api = api_url,
        peer = settings.peer_address(), version = env!("CARGO_PKG_VERSION"), "starting"
    );
}

/// Shows the groups to Prometheus.
fn register(groups: &NodeGroups, metrics: &Metrics) {
    let (directory, catalog) = (Arc::clone(&groups.directory), Arc::clone(&groups.catalog));
    metrics.register(|registry| {
        registry.register_collector(Box::new(DeletionMetrics { catalog: Arc::clone(&catalog) }));
        registry.register_collector(Box::new(GroupMetrics { directory, catalog }));
    });
}

fn background(
    settings: &Settings,
    (gateway, directory): (&Gateway, &Arc<Group<Directory>>),
    time: &AgreedTime,
    metrics: &Metrics,
) -> Background {
    let options = background::Options {
        node_grace_seconds: settings.repair.node_grace_seconds,
        rewrite_grace_seconds: settings.repair.rewrite_grace_seconds,
        bytes_per_second: settings.repair.bytes_per_second,
        band_percent: settings.rebalance.band_percent,
        garbage_items_per_second: settings.garbage.items_per_second,
        reader_grace_seconds: settings.garbage.reader_grace_seconds,
    };
    let time = time.clone();
    let present = Arc::new(move || time.now());
    let directory: Arc<dyn DirectoryRecords> = Arc::<Group<Directory>>::clone(directory);
    Background::start(gateway, &directory, present, &options, &metrics.register(background::Metrics::register))
}

/// URL at which clients reach the node: as configured, or made of the address that is listened on.
fn api_url(settings: &Settings, address: SocketAddr) -> String {
    if !settings.api.public_url.is_empty() {
        return settings.api.public_url.clone();
    }
    let scheme = settings.api_scheme();
    if address.ip().is_unspecified() {
        // Peers reach this machine by that host, clients most likely too.
        let host = settings.peer_address().rsplit_once(':').map_or("localhost", |(host, _)| host);
        return format!("{scheme}://{host}:{}", address.port());
    }
    format!("{scheme}://{address}")
}
