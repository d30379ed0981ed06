//! What a node is made of behind its ports, built from its opened groups: the operator's side, the local disks, copies,
//! audits, and the tasks that keep its membership.

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
use tracing::error;

use super::groups::NodeGroups;
use crate::access::Access;
use crate::acme::AcmeOptions;
use crate::admin::{AccessChanges, Admin, RemoteAdmin};
use crate::audit::AuditLog;
use crate::background::Overview;
use crate::cluster::{self, Admitter, AgreedTime, AuthorityKeeper, Departures, Membership, RegionChanges};
use crate::config::Settings;
use crate::deletion::Deletion;
use crate::environment::Environment;
use crate::gateway::Gateway;
use crate::identity::{Founding, Identity, PeerTls, Store};
use crate::members::{GroupSource, Members};
use crate::peer::{self, Peers, Trust};
use crate::replication::{Puller, Replication, ReplicationMetrics, ReplicationParts, Source};
use crate::reseal::{self, OwnContent, Reseal};
use crate::residency::{self, Residency};
use crate::scrub::{self, Scrub};
use crate::shards::{LocalDisks, LocalShards};
use crate::status::{Collector, Readiness, ReadinessTask};
use crate::telemetry::{Metrics, ProcessMetrics};
use crate::vault::Vault;

/// What the node's own tasks work on.
pub(super) struct Keeper {
    pub(super) environment: Environment,
    pub(super) settings: Arc<Settings>,
    pub(super) identity: Identity,
    pub(super) store: Store,
    pub(super) members: Members,
    pub(super) groups: NodeGroups,
}

impl Keeper {
    /// Begins to found what this node is the first one of: the cluster, its region, or neither.
    pub(super) fn spawn_founding(
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

    pub(super) fn admin(
        &self,
        time: &AgreedTime,
        metrics: &Metrics,
        overviews: watch::Receiver<Arc<Overview>>,
        (disks, scrub, peers, reseal): (LocalDisks, Scrub, Peers, Reseal),
        (deletion, source, residency, replication): (Deletion, Source, Residency, Replication),
        (access, access_changes, audit_log): (Access, AccessChanges, AuditLog),
    ) -> Admin {
        let (directory, catalog) = (Arc::clone(&self.groups.directory), Arc::clone(&self.groups.catalog));
        let collector = Collector {
            identity: self.identity.clone(),
            members: self.members.clone(),
            directory: Arc::clone(&directory),
            catalog: Arc::clone(&catalog),
            overviews,
            audit: audit_log.audit().clone(),
            reseal: reseal.clone(),
            low_space_percent: self.settings.storage.low_space_percent,
            acme: AcmeOptions::new(&self.settings.acme).ok().flatten(),
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
            reseal,
            deletion,
            access_changes,
            access,
            audit: audit_log.audit().clone(),
            audit_log,
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

    pub(super) fn peer_router(
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

    pub(super) fn local_disks(&self, disks: &Arc<Disks>, tasks: &mut JoinSet<()>) -> LocalDisks {
        let (store, catalog) = (self.store.clone(), Arc::clone(&self.groups.catalog));
        let local = LocalDisks::new(&self.identity, Arc::clone(disks), store, catalog, &self.environment);
        tasks.spawn(local.clone().keep());
        let (directory, own) = (Arc::clone(&self.groups.directory), self.identity.node);
        tasks.spawn(cluster::keep_own_disks(directory, own, Arc::clone(disks), local.clone()));
        local
    }

    pub(super) fn scrub(&self, local: LocalShards, metrics: scrub::Metrics) -> Scrub {
        Scrub::new(scrub::Parts {
            local,
            records: Arc::<Group<Catalog>>::clone(&self.groups.catalog),
            entropy: Arc::clone(&self.environment.entropy),
            exec: self.environment.exec,
            options: scrub::Options::from(&self.settings.scrub),
            metrics,
        })
    }

    /// Begins to bring what the node keeps under its newest data key.
    pub(super) fn reseal(&self, vault: Vault, local: LocalShards, metrics: reseal::Metrics) -> Reseal {
        let content = OwnContent::new(reseal::Parts {
            store: self.store.clone(),
            log: Arc::clone(self.groups.log()),
            directory: Arc::clone(&self.groups.directory),
            catalog: Arc::clone(&self.groups.catalog),
            databases: ["log", "groups"].map(|name| self.settings.data_dir.join(name)).to_vec(),
            local,
            files: Arc::clone(&self.environment.files),
            exec: self.environment.exec,
        });
        Reseal::start(vault, content, self.settings.encryption.rewrite_bytes_per_second, metrics)
    }

    /// Begins to copy what other regions have for this one.
    pub(super) fn replication(
        &self,
        gateway: &Gateway,
        deletion: &Deletion,
        metrics: &Metrics,
    ) -> (Replication, Puller) {
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

    pub(super) fn residency(
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

    pub(super) fn info(&self, info: raft::directory::NodeInfo, disks: Arc<Disks>) -> impl Future<Output = ()> + use<> {
        let directory = Arc::clone(&self.groups.directory);
        cluster::keep_info(directory, self.identity.node, info, disks, self.environment.clone())
    }

    /// Keeps the directory's clock, the groups' members, and the own certificate, if there is one.
    pub(super) fn spawn_membership(
        &self,
        tasks: &mut JoinSet<()>,
        time: AgreedTime,
        tls: Option<PeerTls>,
        peers: &Peers,
    ) {
        tasks.spawn(self.clock(time));
        tasks.spawn(self.membership().keep());
        if let Some(tls) = tls {
            tasks.spawn(self.authority(tls, peers.clone()).keep());
        }
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

    pub(super) fn readiness(
        &self,
        access: Access,
        founding: watch::Receiver<Option<String>>,
        outcome: watch::Sender<Readiness>,
        process: ProcessMetrics,
    ) -> ReadinessTask {
        ReadinessTask {
            members: self.members.clone(),
            directory: Arc::clone(&self.groups.directory),
            catalog: Arc::clone(&self.groups.catalog),
            access,
            founding,
            outcome,
            gauge: process.ready,
        }
    }

    fn authority(&self, tls: PeerTls, peers: Peers) -> AuthorityKeeper {
        AuthorityKeeper {
            identity: self.identity.clone(),
            store: self.store.clone(),
            tls,
            peers,
            directory: Arc::clone(&self.groups.directory),
            environment: self.environment.clone(),
        }
    }
}
