//! The nodes of the cluster, and which of them answer.
//!
//! Who is a member comes from the directory; who is live comes from heartbeats, which each node exchanges with each
//! other one. A call that fails elsewhere is reported here, and its node counts as dead until a heartbeat answers.
//! Decisions (placement, voters, repair) are not here; they read [`Members::all`] and wait on [`Members::changes`].

mod beat;
mod clients;
mod heartbeat;
mod keeper;
mod liveness;
mod metrics;
mod source;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use raft::id::{NodeId, RegionId};
use raft::time::Clock;
use storage::disk::Disks;
use storage::exec::Exec;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

pub use beat::{Beat, DiskView};
pub use clients::{Client, Clients};
pub use metrics::Metrics;
pub use source::{GroupSource, Source, SourceError};
pub(crate) use state::is_own_region;
pub use view::{Member, Remote};

use crate::peer::Peers;
use state::State;
use view::View;

/// Who this node is.
#[derive(Clone, Debug)]
pub struct MembersOptions {
    /// Its id.
    pub own: NodeId,
    /// Its region.
    pub region: RegionId,
    /// Version of its program.
    pub version: String,
}

/// What the members work on.
#[derive(Clone, Debug)]
pub struct MembersResources {
    /// The directory's nodes.
    pub source: Arc<dyn Source>,
    /// The way to the peers; their addresses are kept up to date.
    pub peers: Peers,
    /// The own disks.
    pub disks: Arc<Disks>,
    /// Wall clock, compared with the peers'.
    pub clock: Arc<dyn Clock>,
    /// Where blocking work runs.
    pub exec: Exec,
    /// Counters.
    pub metrics: Metrics,
}

/// The members. Cheap to clone; heartbeats end with the last clone.
#[derive(Clone, Debug)]
pub struct Members {
    shared: Arc<Shared>,
    _tasks: Arc<Vec<AbortOnDropHandle<()>>>,
}

/// What the handle and the tasks share.
#[derive(Debug)]
struct Shared {
    options: MembersOptions,
    resources: MembersResources,
    state: Mutex<State>,
    view: ArcSwap<View>,
    changes: watch::Sender<u64>,
    clients: Clients,
    /// Whether this node takes requests.
    ready: AtomicBool,
    /// How this node knows that it was removed, once it was.
    dismissed: watch::Sender<Option<String>>,
}

impl Members {
    /// Reads the directory and the own disks once, and begins to exchange heartbeats.
    pub async fn start(options: MembersOptions, resources: MembersResources) -> Self {
        let state = Mutex::new(State::new(options.own, options.region));
        let shared = Arc::new(Shared {
            options,
            resources,
            state,
            view: ArcSwap::default(),
            changes: watch::channel(0).0,
            clients: Clients::default(),
            ready: AtomicBool::new(false),
            dismissed: watch::channel(None).0,
        });
        let tasks = keeper::start(&shared).await;
        Self { shared, _tasks: Arc::new(tasks) }
    }

    /// This node.
    #[must_use]
    pub fn own(&self) -> NodeId {
        self.shared.options.own
    }

    /// The own region.
    #[must_use]
    pub fn region(&self) -> RegionId {
        self.shared.options.region
    }

    /// The nodes of the own region, by id: neither those that were removed nor those that have yet to show that they run.
    #[must_use]
    pub fn all(&self) -> Vec<Member> {
        self.shared.view.load().members.clone()
    }

    /// Whether the members were confirmed since this node started: by a quorum of the directory, or, in a region that is
    /// cut off from it, by the region's catalog ([`GroupSource`]). Before that, they may be those of long ago: fewer than
    /// there are.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.shared.view.load().confirmed
    }

    /// Whether this node is certainly the only one of its region, so that nothing has to be kept elsewhere: the directory
    /// was confirmed since the start and knows no other, draining ones included, and the catalog has no other member.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        let catalog_members = self.shared.resources.source.catalog_members();
        self.shared.state().is_sole(&catalog_members)
    }

    /// Those of them that answer, by id.
    #[must_use]
    pub fn live(&self) -> Vec<Member> {
        self.shared.view.load().members.iter().filter(|member| member.live).cloned().collect()
    }

    /// Whether this node counts: the directory has heard that it runs, as this node knows.
    #[must_use]
    pub fn counts(&self) -> bool {
        let own = self.own();
        self.shared.view.load().members.iter().any(|member| member.id == own)
    }

    /// One node of the own region.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<Member> {
        self.shared.view.load().members.iter().find(|member| member.id == node).cloned()
    }

    /// The nodes of other regions, by id: neither those that were removed nor those that have yet to show that they run.
    #[must_use]
    pub fn remotes(&self) -> Vec<Remote> {
        self.shared.view.load().remotes.clone()
    }

    /// Whether a node of the cluster answers. This node always does.
    #[must_use]
    pub fn is_live(&self, node: NodeId) -> bool {
        node == self.own() || self.shared.view.load().live.contains(&node)
    }

    /// Region of a node of the cluster that was not removed, as far as this node's replica of the directory has it.
    #[must_use]
    pub fn region_of(&self, node: NodeId) -> Option<RegionId> {
        self.shared.view.load().regions.get(&node).copied()
    }

    /// Says whether this node takes requests: heartbeats tell the others.
    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether a node is no member any more. One that this replica has not heard of yet is not removed.
    #[must_use]
    pub fn is_removed(&self, node: NodeId) -> bool {
        self.shared.view.load().removed.contains(&node)
    }

    /// Completes when this node was removed from the cluster, and says how it knows: its own replica of the directory
    /// has it, or a member refuses its calls for that. It is never taken back.
    pub async fn dismissed(&self) -> String {
        let mut dismissed = self.shared.dismissed.subscribe();
        match dismissed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The sender lives as long as this handle.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether this node was removed from the cluster.
    #[must_use]
    pub fn is_dismissed(&self) -> bool {
        self.shared.dismissed.borrow().is_some()
    }

    /// Address of a node of the cluster, `host:port` for peers.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<String> {
        let known = self.shared.state().nodes.get(&node).map(|record| record.info.peer_address.clone());
        known.or_else(|| self.shared.resources.peers.address(node))
    }

    /// Counts up when a member comes, goes, dies, returns, drains, when any node is removed, or when a disk begins or ceases to
    /// take shards. Free space alone does not count.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The clients that this node serves: the gateway counts them, heartbeats tell of them.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.shared.clients
    }

    /// Whether clients are served by any node of the own region that answers, as it last said.
    #[must_use]
    pub fn clients_are_served(&self) -> bool {
        let serves = |member: &Member| member.live && member.serves_clients;
        self.shared.clients.are_served() || self.shared.view.load().members.iter().any(serves)
    }

    /// A call to a node just failed at the transport level: it is not live until a heartbeat sent from now on is
    /// answered, which is tried at once.
    pub fn report_failure(&self, node: NodeId) {
        {
            let mut state = self.shared.state();
            let Some(peer) = state.peers.get_mut(&node) else { return };
            peer.liveness.suspect(Instant::now());
            peer.probe.notify_one();
        }
        self.shared.publish();
    }

    /// Wall clock of each live peer minus the own one, in milliseconds; off by at most half a round trip.
    #[must_use]
    pub fn clock_offsets(&self) -> BTreeMap<NodeId, i64> {
        self.shared.view.load().clock_offsets.clone()
    }

    /// Whether most nodes of the own region, this one included, have clocks that are no further than `limit` from this
    /// node's. Nodes that do not answer disagree.
    #[must_use]
    pub fn clocks_agree(&self, limit: Duration) -> bool {
        let view = self.shared.view.load();
        let own = self.own();
        let agrees = |node: NodeId| {
            let offset = view.clock_offsets.get(&node);
            node == own || offset.is_some_and(|offset| u128::from(offset.unsigned_abs()) <= limit.as_millis())
        };
        let agreeing = view.members.iter().filter(|member| agrees(member.id)).count();
        view.confirmed && 2 * agreeing > view.members.len()
    }

    /// What this node says of itself now.
    #[must_use]
    pub fn beat(&self) -> Beat {
        self.shared.beat()
    }

    /// A peer's heartbeat arrived: if it was taken for dead, it is asked at once.
    pub fn heard_from(&self, node: NodeId) {
        if !self.is_live(node)
            && let Some(peer) = self.shared.state().peers.get(&node)
        {
            peer.probe.notify_one();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beat(&self) -> Beat {
        Beat {
            node: self.options.own,
            version: self.options.version.clone(),
            clock: self.resources.clock.now(),
            disks: self.state().own_disks(Instant::now()),
            applied: self.resources.source.applied(),
            serves_clients: self.clients.are_served(),
            ready: self.ready.load(Ordering::Relaxed),
        }
    }

    /// This node was removed.
    fn dismiss(&self, reason: &str) {
        self.dismissed.send_if_modified(|dismissed| {
            let news = dismissed.is_none();
            if news {
                warn!(node = %self.options.own, reason, "this node was removed from the cluster");
                *dismissed = Some(reason.to_owned());
            }
            news
        });
    }

    /// Makes what is known visible, and tells of changes.
    fn publish(&self) {
        let own = self.beat();
        // The lock is held until the view is stored, so that an older view never replaces a newer one.
        let state = self.state();
        let new = Arc::new(state.view(&own, Instant::now()));
        let old = self.view.swap(Arc::clone(&new));
        drop(state);
        let metrics = &self.resources.metrics;
        metrics.known.set(i64::try_from(new.members.len()).unwrap_or(i64::MAX));
        let live = new.members.iter().filter(|member| member.live).count();
        metrics.live.set(i64::try_from(live).unwrap_or(i64::MAX));
        for node in old.live.difference(&new.live) {
            metrics.deaths.inc();
            warn!(%node, "peer does not answer");
        }
        for node in new.live.difference(&old.live).filter(|node| **node != self.options.own) {
            info!(%node, "peer answers");
        }
        if new.differs(&old) {
            self.changes.send_modify(|version| *version += 1);
        }
    }
}
