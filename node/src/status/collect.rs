//! What this node knows of its cluster, confirmed by the quorums if they answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{self, Catalog, DiskLocation, PlacementTotals, ShortfallKey};
use raft::directory::{self, Directory, DrainRecord, NodeRecord, NodeState, RegionRecord, ResidencyAudit};
use raft::group::{self, Group};
use raft::id::{NodeId, RegionId};
use raft::machine::Machine;
use raft::time::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;

use super::disks::disks;
use super::regions::{self, Answers, by_region};
use super::verdict::{Facts, judge};
use super::verdict_authority::Rotating;
use crate::acme::{AcmeOptions, CertificateTrouble, troubles};
use crate::admin::{
    self, CopyStatus, DirectoryReading, DrainStatus, GroupStatus, NodeStatus, RegionStatus, RegionsAnswer, Status,
    Totals,
};
use crate::audit::Audit;
use crate::background::Overview;
use crate::cluster::{Awaited, Reading, confirm_directory, regions_borne, rotation, seats, voters_of};
use crate::identity::Identity;
use crate::members::Members;
use crate::reseal::Reseal;
use crate::residency::{AUDITS_LOOKED_AT, Alarm, alarms};

/// Bound on the confirmation; without it the answer is local knowledge.
const CONFIRMATION: Duration = Duration::from_secs(2);
/// The same for the directory in a cluster of several regions: whoever asks may wait for one round of reads and take part
/// in the next, each of two round trips.
const FAR_CONFIRMATION: Duration = Duration::from_secs(6);

/// Collects a status.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Who answers.
    pub identity: Identity,
    /// Who is live.
    pub members: Members,
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
    /// What the background work has before it.
    pub overviews: watch::Receiver<Arc<Overview>>,
    /// The own audit log.
    pub audit: Audit,
    /// What brings the own files under the newest data key.
    pub reseal: Reseal,
    /// Share of a disk, in percent of its capacity, below which it is nearly full.
    pub low_space_percent: u8,
    /// What the settings say of the authority that is asked for certificates, if one is.
    pub(crate) acme: Option<AcmeOptions>,
}

/// What a node's status is made from, beside itself.
struct Known<'a> {
    names: &'a Names,
    held: &'a BTreeMap<DiskLocation, PlacementTotals>,
    clock: Timestamp,
    overview: Arc<Overview>,
}

/// A join that takes longer has most likely broken off.
const JOIN_SECONDS_MAX: u64 = 600;

/// Names of nodes and regions.
struct Names {
    nodes: BTreeMap<NodeId, String>,
    regions: BTreeMap<RegionId, String>,
}

impl Names {
    fn node(&self, node: NodeId) -> String {
        self.nodes.get(&node).cloned().unwrap_or_else(|| format!("node {node}"))
    }

    fn region(&self, region: RegionId) -> String {
        self.regions.get(&region).cloned().unwrap_or_else(|| region.to_string())
    }
}

/// What the directory says, as far as it can be read.
struct Recorded {
    /// What the last audits of residency have found, the newest first.
    audits: Vec<ResidencyAudit>,
    /// Nodes that were not removed.
    nodes: Vec<(NodeId, NodeRecord)>,
    regions: Vec<(RegionId, RegionRecord)>,
    primary: Option<RegionId>,
    /// Since when nothing is taken away from any region.
    evictions_held: Option<Timestamp>,
    reading: DirectoryReading,
    clock: Timestamp,
}

impl Recorded {
    fn names(&self) -> Names {
        Names {
            nodes: self.nodes.iter().map(|(node, record)| (*node, record.info.name.clone())).collect(),
            regions: self.regions.iter().map(|(region, record)| (*region, record.name.clone())).collect(),
        }
    }

    /// Voters that the directory is to have with the active nodes there are.
    fn directory_seats(&self) -> u64 {
        let active = self.nodes.iter().map(|(_, record)| record).filter(|record| record.state == NodeState::Active);
        let seats = |primary| seats(&by_region(active), primary, 0).total as u64;
        self.primary.map_or(0, seats)
    }

    /// The same for a region's catalog.
    fn catalog_seats(&self, region: RegionId) -> u64 {
        let active = |(_, record): &&(NodeId, NodeRecord)| record.region == region && record.state == NodeState::Active;
        voters_of(self.nodes.iter().filter(active).count()) as u64
    }

    /// Regions in which something rests that may not.
    fn alarms(&self) -> Vec<Alarm> {
        let name = |id| self.regions.iter().find(|(region, _)| *region == id).map(|(_, record)| record.name.clone());
        alarms(&self.audits, name)
    }

    /// Regions without which the directory still has a quorum. `None` in one region.
    fn regions_borne(&self, voters: &[NodeId]) -> Option<u64> {
        let votes = self.nodes.iter().filter(|(node, _)| voters.contains(node)).map(|(_, record)| record);
        (self.regions.len() > 1).then(|| regions_borne(&by_region(votes)) as u64)
    }
}

impl Collector {
    /// The status as of now, with what is known meanwhile of the copies in this region. Always answers, within some seconds.
    pub async fn status(&self, copies: impl Future<Output = Vec<CopyStatus>>) -> Status {
        let (recorded, confirmed, copies) = tokio::join!(self.recorded(), self.confirm_catalog(), copies);
        let catalog = catalog::View::new(self.catalog.state());
        let names = recorded.names();
        let totals = catalog.totals().unwrap_or_default();
        let clock = recorded.clock;
        let held: BTreeMap<DiskLocation, PlacementTotals> = catalog.disks().unwrap_or_default().into_iter().collect();
        let known = Known { names: &names, held: &held, clock, overview: self.overviews.borrow().clone() };
        let nodes: Vec<NodeStatus> =
            recorded.nodes.iter().map(|(node, record)| self.node(*node, record, &known)).collect();
        let mut directory = self.group(&self.directory, recorded.directory_seats(), &names);
        directory.regions_borne = recorded.regions_borne(&self.directory.status().voters);
        let groups = vec![directory, self.group(&self.catalog, recorded.catalog_seats(self.identity.region), &names)];
        let regions = self.region_statuses(&recorded, confirmed);
        let stalled = |record: &NodeRecord| {
            record.state == NodeState::Joining && clock >= record.joined.plus_seconds(JOIN_SECONDS_MAX)
        };
        let stalled: Vec<u64> =
            recorded.nodes.iter().filter(|(_, record)| stalled(record)).map(|(node, _)| node.0).collect();
        let lost = totals.shortfalls_by_spare.get(&ShortfallKey::LOST).copied().unwrap_or(0);
        let audit = self.audit.state();
        let judgement = judge(&Facts {
            confirmed,
            directory: recorded.reading,
            regions: &regions,
            nodes: &nodes,
            stalled: &stalled,
            groups: &groups,
            under_replicated: totals.shortfalls,
            lost,
            copies: &copies,
            residency: &recorded.alarms(),
            audit: Some(&audit).filter(|audit| audit.is_alarming(recorded.clock)),
            resealing: self.reseal.stuck().as_deref(),
            removals_held: recorded.evictions_held.map(|since| clock.0.saturating_sub(since.0) / 1000),
            low_space_percent: self.low_space_percent,
            certificates: &self.certificates(clock),
            rotating: self.rotating(clock).as_ref(),
        });
        Status {
            version: admin::VERSION,
            cluster: self.identity.cluster.to_string(),
            node: self.identity.node.0,
            name: self.identity.name.clone(),
            region: names.region(self.identity.region),
            confirmed,
            directory: recorded.reading,
            verdict: judgement.verdict,
            summary: judgement.summary,
            findings: judgement.findings,
            feature_level: directory::View::new(self.directory.state())
                .cluster()
                .ok()
                .flatten()
                .map_or(0, |cluster| cluster.feature_level),
            nodes,
            regions,
            groups,
            under_replicated: totals.shortfalls,
            lost,
            copies,
            totals: Totals {
                repositories: totals.repositories,
                manifests: totals.manifests,
                tags: totals.tags,
                blobs: totals.blobs,
                blob_bytes: totals.blob_bytes,
                uploads: totals.uploads,
            },
        }
    }

    /// Domains whose certificates need an operator.
    fn certificates(&self, now: Timestamp) -> Vec<CertificateTrouble> {
        let view = directory::View::new(self.directory.state());
        self.acme.as_ref().map(|options| troubles(options, &view, now)).and_then(Result::ok).unwrap_or_default()
    }

    /// The change of the certificate authority, if there is one.
    fn rotating(&self, now: Timestamp) -> Option<Rotating> {
        let known = rotation(&directory::View::new(self.directory.state())).ok().flatten()?;
        let running = known.running.as_ref()?;
        let name = |node| known.nodes.iter().find(|(id, _)| *id == node).map(|(_, record)| record.info.name.clone());
        let awaited = known.awaited.iter().map(|Awaited { node, lag }| {
            (name(*node).unwrap_or_else(|| node.to_string()), lag.to_string(), self.members.is_live(*node))
        });
        let seconds = now.0.saturating_sub(running.since.0) / 1000;
        Some(Rotating { phase: running.phase, seconds, awaited: awaited.collect() })
    }

    /// The regions as of now. Always answers, within some seconds.
    pub async fn regions(&self) -> RegionsAnswer {
        let (recorded, confirmed) = tokio::join!(self.recorded(), self.confirm_catalog());
        let regions = self.region_statuses(&recorded, confirmed);
        let removals_held_milliseconds = recorded.evictions_held.map(|since| since.0);
        RegionsAnswer { version: admin::VERSION, directory: recorded.reading, regions, removals_held_milliseconds }
    }

    async fn confirm_catalog(&self) -> bool {
        matches!(timeout(CONFIRMATION, self.catalog.read_barrier()).await, Ok(Ok(())))
    }

    /// What the directory says. What cannot be read is shown as not known; the verdict names a group that has stopped.
    async fn recorded(&self) -> Recorded {
        let several = directory::View::new(self.directory.state()).regions().is_ok_and(|regions| regions.len() > 1);
        let within = if several { FAR_CONFIRMATION } else { CONFIRMATION };
        let Reading { confirmed, as_of_milliseconds } = confirm_directory(self.directory.as_ref(), within).await;
        let now = self.members.beat().clock.0;
        let age_seconds = if confirmed { 0 } else { now.saturating_sub(as_of_milliseconds) / 1000 };
        let view = directory::View::new(self.directory.state());
        let nodes = view.nodes().unwrap_or_default().into_iter();
        Recorded {
            nodes: nodes.filter(|(_, record)| record.state != NodeState::Removed).collect(),
            audits: view.residency_audits(AUDITS_LOOKED_AT).unwrap_or_default(),
            regions: view.regions().unwrap_or_default(),
            primary: view.primary().ok().flatten(),
            evictions_held: view.cluster().ok().flatten().and_then(|cluster| cluster.evictions_held),
            reading: DirectoryReading { confirmed, as_of_milliseconds, age_seconds },
            clock: Timestamp(as_of_milliseconds),
        }
    }

    fn region_statuses(&self, recorded: &Recorded, own_serves: bool) -> Vec<RegionStatus> {
        let facts = regions::Facts {
            regions: &recorded.regions,
            primary: recorded.primary,
            own: self.identity.region,
            own_serves,
            nodes: &recorded.nodes,
            voters: &self.directory.status().voters,
        };
        let remotes = self.members.remotes();
        regions::regions(&facts, |node| Answers {
            live: self.members.is_live(node),
            ready: remotes.iter().any(|remote| remote.id == node && remote.ready),
        })
    }

    fn node(&self, node: NodeId, record: &NodeRecord, known: &Known<'_>) -> NodeStatus {
        let names = known.names;
        let member = self.members.get(node);
        let held = known.held.iter().filter(|(at, _)| at.node == node).map(|(_, held)| held);
        let (shards, bytes) = held.fold((0, 0), |(shards, bytes), held| (shards + held.shards, bytes + held.bytes));
        NodeStatus {
            id: node.0,
            name: record.info.name.clone(),
            region: names.region(record.region),
            zone: record.info.zone.clone(),
            live: self.members.is_live(node),
            state: admin::state(record.state).to_owned(),
            version: member.as_ref().map_or_else(|| record.info.version.clone(), |member| member.version.clone()),
            api_url: record.info.api_url.clone(),
            peer_address: record.info.peer_address.clone(),
            disks: if record.region == self.identity.region {
                disks(node, member.as_ref(), record, known.held)
            } else {
                Vec::new()
            },
            shards,
            bytes,
            drain: record.drain.as_ref().map(|begun| drain_status(node, begun, bytes, known)),
            replaced_by: record.replaced_by.map(|successor| successor.0),
        }
    }

    fn group<M: Machine>(&self, group: &Group<M>, seats: u64, names: &Names) -> GroupStatus {
        let status: group::GroupStatus = group.status();
        let named = |nodes: &[NodeId]| nodes.iter().map(|node| names.node(*node)).collect::<Vec<_>>();
        let stopped = status.role == group::Role::Stopped;
        let live: Vec<NodeId> = status
            .voters
            .iter()
            .copied()
            .filter(|node| self.members.is_live(*node) && !(stopped && *node == self.members.own()))
            .collect();
        GroupStatus {
            name: status.group.to_string(),
            leader: status.leader.filter(|leader| live.contains(leader)).map(|leader| names.node(leader)),
            term: status.term,
            applied: status.applied_index.unwrap_or(0),
            quorum: live.len() > status.voters.len() / 2,
            seats,
            live_voters: named(&live),
            voters: named(&status.voters),
            learners: named(&status.learners),
            regions_borne: None,
            lag: status.lag.iter().map(|(node, lag)| (names.node(*node), *lag)).collect(),
        }
    }
}

/// How far a node's emptying has come. What it held at first is not known of one that is being replaced.
fn drain_status(node: NodeId, begun: &DrainRecord, bytes: u64, known: &Known<'_>) -> DrainStatus {
    let bytes_total = begun.bytes.max(bytes);
    let disks = known.overview.drains.iter().filter(|disk| disk.node == node.0);
    let rate: f64 = disks.map(|disk| disk.progress.per_second).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is told to people")]
    let bytes_per_second = rate.max(0.0) as u64;
    DrainStatus {
        leaves: begun.leave,
        seconds: known.clock.0.saturating_sub(begun.since.0) / 1000,
        bytes_done: bytes_total - bytes,
        bytes_total,
        bytes_per_second,
        eta_seconds: if bytes == 0 { Some(0) } else { bytes.checked_div(bytes_per_second) },
    }
}
