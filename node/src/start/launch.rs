//! Starts a node: opens what is on disk, then the groups, then the rooms, the listeners and the tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use raft::catalog::Catalog;
use raft::directory::Directory;
use raft::group::Group;
use storage::disk::Disks;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::data_dir::{self, DataDir};
use super::error::StartError;
use super::groups::NodeGroups;
use super::health;
use super::listen::{Listeners, local_server};
use super::node::Node;
use super::servers::Servers;
use super::wire::{self, Ground, PeerSecurity, Rooms};
use crate::admin::{self, Admin, RemoteAdmin};
use crate::background::{self, Background, Overview};
use crate::cluster::{self, Admitter, AgreedTime, Certificates, Departures, Membership, RegionChanges, Renewal};
use crate::config::Settings;
use crate::deletion::{Deletion, DeletionMetrics, DirectoryRecords};
use crate::environment::Environment;
use crate::gateway::Gateway;
use crate::identity::{Founding, Identity, PeerTls, Store};
use crate::members::{GroupSource, Members};
use crate::peer::{self, Peers, Trust};
use crate::replication::{Puller, Replication, ReplicationMetrics, ReplicationParts, Source};
use crate::residency::{self, Residency};
use crate::scrub::{self, Scrub};
use crate::serve::{Limits, Protection, Server};
use crate::shards::{LocalDisks, LocalShards};
use crate::status::{Collector, GroupMetrics, Readiness, ReadinessTask};
use crate::telemetry::{Metrics, ProcessMetrics};

/// Bound on the end of peers' requests.
const PEER_DRAIN: Duration = Duration::from_secs(2);

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
        let opened = {
            let (environment, settings) = (environment.clone(), Arc::clone(&settings));
            environment.exec.run(move || data_dir::open(&environment, &settings, certificates)).await?
        };
        let DataDir { store, identity, founding, founds_region, credentials, disks, lock } = opened;
        let listeners = Listeners::open(&environment, &settings).await?;
        let api_address = listeners.api_address;
        let api_url = api_url(&settings, api_address);
        info!(
            node = %identity.node, name = identity.name, cluster = %identity.cluster, api = api_url,
            peer = settings.peer_address(), version = env!("CARGO_PKG_VERSION"), "starting"
        );

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
            metrics: &metrics,
        })
        .await;

        let readiness = watch::channel(Readiness::starting()).0;
        let (report, founding_failure) = watch::channel(None);
        let api = wire::api_router(&rooms, &settings, &metrics);
        let Rooms { members, time, gateway, registry, regions, local, admission } = rooms;
        let background = background(&settings, (&gateway, &groups.directory), &time, &metrics);
        let mut tasks = JoinSet::new();
        tasks.spawn(regions.keep());
        let pulls = registry.pulls().clone();
        tasks.spawn(pulls.clone().keep(regions.clone()));
        let source = Source::new(&gateway, regions.clone(), pulls.clone());
        let keeper = Keeper { environment, settings, identity, store, members, groups };
        let local_disks = keeper.local_disks(&disks, &mut tasks);
        let scrub = keeper.scrub(local.clone(), metrics.register(scrub::Metrics::register));
        let deletion = Deletion::new(&gateway, Arc::clone(&keeper.groups.directory), background.overviews(), regions);
        let machine = (local_disks.clone(), scrub.clone(), peers);
        let residency = keeper.residency(&deletion, &disks, &machine.2, metrics.register(residency::Metrics::register));
        tasks.spawn(residency.keep());
        let (replication, puller) = keeper.replication(&gateway, &deletion, &metrics);
        let data = (deletion, source, residency, replication);
        let admin = keeper.admin(&time, &metrics, background.overviews(), machine, data);
        let forwarded = TaskTracker::new();
        let handed_on = (api.clone(), forwarded.clone());
        let peer_router = keeper.peer_router(security.trust, handed_on, local, admission, &admin, peer_metrics);
        let ports = Ports {
            api: wire::client_router(api, &keeper.settings, readiness.subscribe(), &metrics),
            peer: (peer_router, security.protection(keeper.identity.cluster)),
            admin: admin::router(admin.clone()),
            health: health::router(readiness.subscribe(), metrics.clone()),
        };
        let (clients, peers) = open_ports(&keeper.environment, &keeper.settings, listeners, ports, &mut tasks);
        keeper.spawn_founding(&mut tasks, (founding, founds_region), &info, report);
        tasks.spawn(keeper.info(info, Arc::clone(&disks)));
        tasks.spawn(keeper.clock(time));
        tasks.spawn(keeper.membership().keep());
        tasks.spawn(keeper.readiness(founding_failure, readiness.clone(), process).keep());
        if let Some(tls) = tls {
            tasks.spawn(keeper.renewal(tls).keep());
        }
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
            local_disks,
            clients,
            forwarded,
            peers,
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

/// What is served on each port.
struct Ports {
    api: Router,
    peer: (Router, Protection),
    admin: Router,
    health: Router,
}

/// Serves on all listeners: those for clients, and all others, which end later.
fn open_ports(
    environment: &Environment,
    settings: &Settings,
    listeners: Listeners,
    ports: Ports,
    tasks: &mut JoinSet<()>,
) -> (Servers, Servers) {
    let mut peers = Servers::new(PEER_DRAIN);
    let (router, protection) = ports.peer;
    let limits = Limits::peers();
    peers.start(Server { name: "peer", listener: listeners.peer, router, protection, limits }, environment);
    if let Some(listener) = listeners.local {
        peers.start(local_server("admin", listener, ports.admin), environment);
    }
    if let Some(listener) = listeners.metrics {
        peers.start(local_server("metrics", listener, ports.health), environment);
    }
    let mut clients = Servers::new(Duration::from_secs(settings.shutdown.drain_seconds));
    let api = Server {
        name: "api",
        listener: listeners.api,
        router: ports.api,
        protection: listeners.api_protection,
        limits: Limits::clients(settings.api.max_connections as usize),
    };
    clients.start(api, environment);
    if let Some(certificate) = listeners.api_certificate {
        tasks.spawn(certificate.follow(environment.exec));
    }
    (clients, peers)
}

/// What the node's own tasks work on.
struct Keeper {
    environment: Environment,
    settings: Arc<Settings>,
    identity: Identity,
    store: Store,
    members: Members,
    groups: NodeGroups,
}

impl Keeper {
    /// Begins to found what this node is the first one of: the cluster, its region, or neither.
    fn spawn_founding(
        &self,
        tasks: &mut JoinSet<()>,
        (founding, founds_region): (Option<Founding>, bool),
        info: &raft::directory::NodeInfo,
        report: watch::Sender<Option<String>>,
    ) {
        if let Some(founding) = founding {
            tasks.spawn(self.found(founding, info.clone(), report));
        } else if founds_region {
            tasks.spawn(self.found_region(report));
        }
    }

    /// Founds the cluster. In a task: after a crash it may need the others first, who need this node's ports.
    fn found(
        &self,
        founding: Founding,
        info: raft::directory::NodeInfo,
        report: watch::Sender<Option<String>>,
    ) -> impl Future<Output = ()> + use<> {
        let (environment, store, identity) = (self.environment.clone(), self.store.clone(), self.identity.clone());
        let groups = self.groups.clone();
        async move {
            let groups = (&groups.directory, &groups.catalog);
            if let Err(error) = cluster::found(&environment, &store, &identity, founding, info, groups).await {
                error!(%error, "the cluster cannot be founded");
                report.send_replace(Some(format!("the cluster cannot be founded: {error}")));
            }
        }
    }

    /// Founds the region. In a task: the directory has to reach this node first.
    fn found_region(&self, report: watch::Sender<Option<String>>) -> impl Future<Output = ()> + use<> {
        let (environment, store, identity) = (self.environment.clone(), self.store.clone(), self.identity.clone());
        let groups = self.groups.clone();
        async move {
            let groups = (&groups.directory, &groups.catalog);
            if let Err(error) = cluster::found_region(&environment, &store, &identity, groups).await {
                error!(%error, "the region cannot be founded");
                report.send_replace(Some(format!("the region cannot be founded: {error}")));
            }
        }
    }

    fn admin(
        &self,
        time: &AgreedTime,
        metrics: &Metrics,
        overviews: watch::Receiver<Arc<Overview>>,
        (disks, scrub, peers): (LocalDisks, Scrub, Peers),
        (deletion, source, residency, replication): (Deletion, Source, Residency, Replication),
    ) -> Admin {
        let (directory, catalog) = (Arc::clone(&self.groups.directory), Arc::clone(&self.groups.catalog));
        let collector = Collector {
            identity: self.identity.clone(),
            members: self.members.clone(),
            directory: Arc::clone(&directory),
            catalog: Arc::clone(&catalog),
            overviews,
            low_space_percent: self.settings.storage.low_space_percent,
        };
        let departures = Departures {
            members: self.members.clone(),
            directory: Arc::clone(&directory),
            catalog,
            entropy: Arc::clone(&self.environment.entropy),
            exec: self.environment.exec,
        };
        let region_changes =
            RegionChanges { directory: Arc::clone(&directory), entropy: Arc::clone(&self.environment.entropy) };
        Admin {
            collector,
            departures,
            region_changes,
            disks,
            scrub,
            deletion,
            source,
            replication,
            residency,
            directory,
            time: time.clone(),
            members: self.members.clone(),
            peers,
            peer_address: self.settings.peer_address().to_owned(),
            settings: Arc::clone(&self.settings),
            metrics: metrics.clone(),
            entropy: Arc::clone(&self.environment.entropy),
        }
    }

    fn peer_router(
        &self,
        trust: Trust,
        (api, forwarded): (Router, TaskTracker),
        shards: LocalShards,
        admission: Admitter,
        admin: &Admin,
        metrics: peer::Metrics,
    ) -> Router {
        peer::router(peer::Server {
            trust,
            groups: Arc::new(self.groups.clone()),
            members: self.members.clone(),
            shards,
            admission: Arc::new(admission),
            administration: Arc::new(RemoteAdmin::new(admin.clone())),
            api,
            forwarded,
            metrics,
        })
    }

    fn local_disks(&self, disks: &Arc<Disks>, tasks: &mut JoinSet<()>) -> LocalDisks {
        let (store, catalog) = (self.store.clone(), Arc::clone(&self.groups.catalog));
        let local = LocalDisks::new(&self.identity, Arc::clone(disks), store, catalog, &self.environment);
        tasks.spawn(local.clone().keep());
        let (directory, own) = (Arc::clone(&self.groups.directory), self.identity.node);
        tasks.spawn(cluster::keep_own_disks(directory, own, Arc::clone(disks), local.clone()));
        local
    }

    fn scrub(&self, local: LocalShards, metrics: scrub::Metrics) -> Scrub {
        Scrub::new(scrub::Parts {
            local,
            records: Arc::<Group<Catalog>>::clone(&self.groups.catalog),
            entropy: Arc::clone(&self.environment.entropy),
            exec: self.environment.exec,
            options: scrub::Options::from(&self.settings.scrub),
            metrics,
        })
    }

    /// Begins to copy what other regions have for this one.
    fn replication(&self, gateway: &Gateway, deletion: &Deletion, metrics: &Metrics) -> (Replication, Puller) {
        let regions = deletion.regions().clone();
        let (replication, puller) = Replication::start(ReplicationParts {
            gateway: gateway.clone(),
            directory: Arc::<Group<Directory>>::clone(&self.groups.directory),
            regions: regions.clone(),
            parallel: self.settings.replication.parallel as usize,
        });
        let shown = ReplicationMetrics { replication: replication.clone(), regions };
        metrics.register(|registry| registry.register_collector(Box::new(shown)));
        (replication, puller)
    }

    fn residency(
        &self,
        deletion: &Deletion,
        disks: &Arc<Disks>,
        peers: &Peers,
        metrics: residency::Metrics,
    ) -> Residency {
        let (directory, catalog) = (Arc::clone(&self.groups.directory), Arc::clone(&self.groups.catalog));
        Residency::new(residency::Parts {
            node: self.identity.node,
            region: self.identity.region,
            disks: Arc::clone(disks),
            files: Arc::clone(&self.environment.files),
            groups: self.settings.data_dir.join("groups"),
            records: Arc::<Group<Catalog>>::clone(&catalog),
            directory: Arc::<Group<Directory>>::clone(&directory),
            source: Arc::new(GroupSource { directory, catalog }),
            regions: deletion.regions().clone(),
            peers: peers.clone(),
            entropy: Arc::clone(&self.environment.entropy),
            exec: self.environment.exec,
            audit_hours: self.settings.residency.audit_hours,
            metrics,
        })
    }

    fn info(&self, info: raft::directory::NodeInfo, disks: Arc<Disks>) -> impl Future<Output = ()> + use<> {
        let directory = Arc::clone(&self.groups.directory);
        cluster::keep_info(directory, self.identity.node, info, disks, self.environment.clone())
    }

    fn clock(&self, time: AgreedTime) -> impl Future<Output = ()> + use<> {
        let (directory, entropy) = (Arc::clone(&self.groups.directory), Arc::clone(&self.environment.entropy));
        cluster::keep_clock(directory, time, entropy)
    }

    fn membership(&self) -> Membership {
        Membership {
            members: self.members.clone(),
            directory: Arc::clone(&self.groups.directory),
            catalog: Arc::clone(&self.groups.catalog),
            max_clock_offset: Duration::from_secs(self.settings.clock.max_offset_seconds),
            entropy: Arc::clone(&self.environment.entropy),
        }
    }

    fn readiness(
        &self,
        founding: watch::Receiver<Option<String>>,
        outcome: watch::Sender<Readiness>,
        process: ProcessMetrics,
    ) -> ReadinessTask {
        ReadinessTask {
            members: self.members.clone(),
            directory: Arc::clone(&self.groups.directory),
            catalog: Arc::clone(&self.groups.catalog),
            founding,
            outcome,
            gauge: process.ready,
        }
    }

    fn renewal(&self, tls: PeerTls) -> Renewal {
        Renewal {
            identity: self.identity.clone(),
            store: self.store.clone(),
            tls,
            directory: Arc::clone(&self.groups.directory),
            environment: self.environment.clone(),
        }
    }
}

/// URL at which clients reach the node: as configured, or made of the address that is listened on.
fn api_url(settings: &Settings, address: SocketAddr) -> String {
    if !settings.api.public_url.is_empty() {
        return settings.api.public_url.clone();
    }
    let scheme = if settings.api.tls_certificate.is_some() { "https" } else { "http" };
    if address.ip().is_unspecified() {
        // Peers reach this machine by that host, clients most likely too.
        let host = settings.peer_address().rsplit_once(':').map_or("localhost", |(host, _)| host);
        return format!("{scheme}://{host}:{}", address.port());
    }
    format!("{scheme}://{address}")
}
