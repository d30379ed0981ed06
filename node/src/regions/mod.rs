//! Regions as a request meets them: whose catalog owns a repository, and the way to a node of that region.
//!
//! Each region has a catalog, and each namespace a home region, whose catalog owns it. `homes` knows the home of every
//! namespace, `forward` has a node of another region answer a request. What becomes of a client's request that reaches
//! the wrong region is the API's to say (`api/elsewhere.rs`), how a home changes that of `deletion/home.rs`.
//!
//! What holds: a request that was handed on is never handed on again; nothing of it rests on this node.

mod body;
mod client;
mod fetch;
mod forward;
mod homes;
mod metrics;
mod neighbours;
mod scopes;
mod telling;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use raft::directory::Place;
use raft::id::RegionId;
use storage::exec::Exec;
use tokio::sync::Semaphore;

use crate::deletion::DirectoryRecords;
use crate::members::Members;
use crate::peer::Peers;

pub(crate) use client::told;
pub(crate) use fetch::{FetchRequest, REPLICATION, UNREADABLE};
pub use forward::ForwardError;
use homes::Homes;
pub use homes::Region;
pub(crate) use homes::Table as Places;
pub use metrics::Metrics;
use metrics::Traffic;
use neighbours::{KnownPeers, Neighbours};
pub(crate) use scopes::{Family, Member, Scope, Scopes};
pub(crate) use telling::Telling;

/// What the regions are known by.
#[derive(Debug)]
pub struct RegionsParts {
    /// The own region.
    pub own: RegionId,
    /// Who answers.
    pub members: Members,
    /// The way to other regions' nodes.
    pub peers: Peers,
    /// Where the directory is read.
    pub exec: Exec,
    /// Counters.
    pub metrics: Metrics,
}

/// What this node is for a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its catalog owns it.
    Home,
    /// It has a copy: reads are answered here, everything else at home.
    Replica(Region, Arc<Place>),
    /// It rests elsewhere.
    Foreign(Region, Arc<Place>),
    /// This node does not know yet, or not any more: its replica of the directory does not know its own region, or not
    /// that of the home, or this node is no full member there.
    Unknown,
}

/// The regions of the cluster, as this node knows them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Regions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    own: RegionId,
    neighbours: Arc<dyn Neighbours>,
    metrics: Metrics,
    homes: Homes,
    /// Requests that may be under way to each region at one time: one that is slow holds nobody else up.
    slots: Mutex<BTreeMap<(Traffic, RegionId), Arc<Semaphore>>>,
    /// Whose turn it is among the nodes of a region.
    turn: AtomicUsize,
}

impl Regions {
    /// Reads the directory once; [`keep`](Self::keep) follows it.
    pub(crate) async fn start(parts: RegionsParts, directory: Arc<dyn DirectoryRecords>) -> Self {
        let RegionsParts { own, members, peers, exec, metrics } = parts;
        let homes = Homes::start(directory, exec).await;
        Self::over(own, Arc::new(KnownPeers { members, peers }), homes, metrics)
    }

    fn over(own: RegionId, neighbours: Arc<dyn Neighbours>, homes: Homes, metrics: Metrics) -> Self {
        let slots = Mutex::default();
        let turn = AtomicUsize::new(0);
        Self { shared: Arc::new(Shared { own, neighbours, metrics, homes, slots, turn }) }
    }

    /// Follows the directory, for ever.
    pub fn keep(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.homes.clone().keep()
    }

    /// The own region.
    #[must_use]
    pub fn own(&self) -> RegionId {
        self.shared.own
    }

    /// What this node is for a repository or a prefix.
    pub(crate) fn standing(&self, prefix: &str) -> Standing {
        let table = self.shared.homes.table();
        let own = self.own();
        if table.is_sole(own) {
            return Standing::Home;
        }
        let Some(place) = table.place(prefix).filter(|_| table.region(own).is_some()) else {
            return Standing::Unknown;
        };
        // The directory has not heard yet that this node runs: if it founds its region, another one may come to do so.
        if !self.neighbours().counts() {
            return Standing::Unknown;
        }
        if place.home == own {
            return Standing::Home;
        }
        match table.region(place.home) {
            Some(home) if place.rests_in(own) => Standing::Replica(home.clone(), Arc::clone(place)),
            Some(home) => Standing::Foreign(home.clone(), Arc::clone(place)),
            None => Standing::Unknown,
        }
    }

    /// All that is known of regions and places now.
    pub(crate) fn places(&self) -> Arc<Places> {
        self.shared.homes.table()
    }

    /// Whether there is no other region than the own one.
    pub(crate) fn is_alone(&self) -> bool {
        self.shared.homes.table().is_sole(self.own())
    }

    /// A region.
    pub(crate) fn region(&self, region: RegionId) -> Option<Region> {
        self.shared.homes.table().region(region).cloned()
    }

    /// All other regions, by id.
    pub(crate) fn others(&self) -> Vec<Region> {
        let table = self.shared.homes.table();
        table.regions().filter(|region| region.id != self.own()).cloned().collect()
    }

    fn neighbours(&self) -> &dyn Neighbours {
        self.shared.neighbours.as_ref()
    }

    fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn slots(&self, traffic: Traffic, region: RegionId) -> Arc<Semaphore> {
        let most = match traffic {
            Traffic::Forwarded => forward::UNDER_WAY_MAX,
            Traffic::Fetched => fetch::FETCHES_MAX,
        };
        let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((traffic, region)).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }

    fn turn(&self) -> &AtomicUsize {
        &self.shared.turn
    }
}
