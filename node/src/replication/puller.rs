//! The copying side: on the catalog's leader, everything that this region is to have a copy of is heard and paid for.
//!
//! What is to be copied follows from the directory, how far it has come from the catalog, so a new leader goes on where
//! the old one stopped. A scope is begun, and what is known of one that nobody asks for any more is forgotten, only while
//! the catalog and what this node knows of the directory are of the same version.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft::catalog::{Command, DEBTS_PER_COMMAND, Response, StateError};
use raft::id::RegionId;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::caught_up::first_errors;
use super::copy::Copier;
use super::debts::Payer;
use super::intake::Intake;
use super::link::Link;
use super::report::{RegionReport, ScopeReport};
use super::scope::Wanted;
use super::state::ScopeState;
use super::transfer::{For, Transfers};
use super::trouble::Trouble;
use super::upstream::Upstream;
use crate::deletion::DirectoryRecords;
use crate::gateway::Gateway;
use crate::gateway::core::{Core, unexpected};
use crate::regions::Regions;

/// Rest between two looks at what is to be copied.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Where a scope stands in the catalog and in memory: source and prefix.
type Key = (RegionId, String);

/// What copying works with.
#[derive(Debug)]
pub(crate) struct ReplicationParts {
    /// The own catalog and bytes.
    pub(crate) gateway: Gateway,
    /// What may come over each link.
    pub(crate) directory: Arc<dyn DirectoryRecords>,
    /// The other regions.
    pub(crate) regions: Regions,
    /// Transfers at one time over each link.
    pub(crate) parallel: usize,
}

/// What is known of this region's copies on this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replication {
    shared: Arc<Shared>,
}

/// The running copying of a node. Dropping it ends the work.
#[derive(Debug)]
pub struct Puller {
    task: AbortOnDropHandle<()>,
}

impl Puller {
    /// Ends the work and waits until it has ended.
    pub async fn stop(self) {
        self.task.abort();
        // Cancelled, which is what was asked for.
        let _cancelled = self.task.await;
    }
}

/// A scope that is copied by this node.
#[derive(Debug)]
struct Running {
    wanted: Wanted,
    state: Arc<ScopeState>,
    task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    gateway: Gateway,
    directory: Arc<dyn DirectoryRecords>,
    upstream: Arc<dyn Upstream>,
    copier: Copier,
    parallel: usize,
    links: Mutex<BTreeMap<RegionId, Link>>,
    running: Mutex<BTreeMap<Key, Running>>,
}

impl Replication {
    /// Begins to copy whatever this region is to have copies of, whenever this node leads its catalog.
    pub(crate) fn start(parts: ReplicationParts) -> (Self, Puller) {
        let ReplicationParts { gateway, directory, regions, parallel } = parts;
        let replication = Self::over(gateway, directory, Arc::new(regions), parallel);
        let puller = replication.spawn();
        (replication, puller)
    }

    /// The same over any source, not begun yet.
    pub(crate) fn over(
        gateway: Gateway,
        directory: Arc<dyn DirectoryRecords>,
        upstream: Arc<dyn Upstream>,
        parallel: usize,
    ) -> Self {
        let copier = Copier { transfers: Transfers::new(gateway.clone(), Arc::clone(&upstream)) };
        let (links, running) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { gateway, directory, upstream, copier, parallel, links, running }) }
    }

    /// Begins.
    pub(crate) fn spawn(&self) -> Puller {
        let this = self.clone();
        let work = async move {
            let _ended = Ended(&this.shared);
            loop {
                this.shared.look().await;
                sleep(LOOK_INTERVAL).await;
            }
        };
        Puller { task: AbortOnDropHandle::new(tokio::spawn(work)) }
    }

    /// How far the copies have come, as the node knows that makes them; `None` on every other one.
    pub(crate) fn report(&self) -> Result<Option<RegionReport>, StateError> {
        let core = self.core();
        if !core.records.is_leader() {
            return Ok(None);
        }
        let (view, now, own) = (core.records.view(), core.clock.now(), self.shared.upstream.own());
        let mut scopes = Vec::new();
        for ((source, prefix), running) in self.shared.running().iter() {
            let record = view.replication(*source, prefix)?;
            let (errors, is_wanted) = match &record {
                Some(record) => (first_errors(core, &running.wanted, record)?, record.scope == running.wanted.scope),
                None => (Vec::new(), false),
            };
            let observed = running.state.observed(is_wanted);
            scopes.push(ScopeReport::new((*source, own, prefix), record.as_ref(), errors, observed, now));
        }
        Ok(Some(RegionReport { scopes }))
    }

    /// The own catalog.
    pub(crate) fn core(&self) -> &Arc<Core> {
        self.shared.gateway.core()
    }
}

/// Ends the scopes' tasks together with the task that began them.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.running().clear();
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<Key, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn core(&self) -> &Arc<Core> {
        self.gateway.core()
    }

    /// Looks at what is to be copied, begins what is missing and ends what is not wanted any more.
    async fn look(&self) {
        if !self.core().records.is_leader() {
            // Another node copies.
            self.running().clear();
            return;
        }
        if let Err(trouble) = self.arrange().await {
            warn!(%trouble, "copies of other regions' namespaces have to wait");
        }
    }

    async fn arrange(&self) -> Result<(), Trouble> {
        // Not known yet, or not any more: nothing is begun, and nothing is given up.
        let Some(scopes) = self.upstream.scopes() else { return Ok(()) };
        let own = self.upstream.own();
        let in_force = self.core().records.view().policy_version()?;
        let all = scopes.scopes.into_iter().map(|scope| Wanted::of(scope, own));
        let wanted: BTreeMap<Key, Wanted> = all.map(|wanted| (wanted.key(), wanted)).collect();
        self.limit()?;
        self.running().retain(|key, running| wanted.get(key) == Some(&running.wanted) && !running.task.is_finished());
        if in_force > scopes.policy_version {
            // What this node knows of the directory is old: what runs by it may copy from a former home.
            self.running().clear();
        }
        if in_force == scopes.policy_version {
            // First, so that nothing that a former source said is written any more once the next one is heard.
            self.forget(&wanted).await?;
            for (key, wanted) in &wanted {
                self.begin(key, wanted);
            }
        }
        Ok(())
    }

    fn begin(&self, key: &Key, wanted: &Wanted) {
        let mut running = self.running();
        if running.contains_key(key) {
            return;
        }
        let state = Arc::new(ScopeState::default());
        let copying = copy(
            self.copier.clone(),
            Arc::clone(&self.upstream),
            self.link(wanted.source.id),
            wanted.clone(),
            Arc::clone(&state),
        );
        let task = AbortOnDropHandle::new(tokio::spawn(copying));
        running.insert(key.clone(), Running { wanted: wanted.clone(), state, task });
    }

    /// Forgets how far scopes have come that are copied no more.
    async fn forget(&self, wanted: &BTreeMap<Key, Wanted>) -> Result<(), Trouble> {
        let records = self.core().records.view().replications()?;
        for (source, prefix, _) in records {
            if wanted.contains_key(&(source, prefix.clone())) {
                continue;
            }
            info!(namespace = prefix, %source, "a namespace is not copied from this region any more");
            loop {
                let limit = u32::try_from(DEBTS_PER_COMMAND).unwrap_or(u32::MAX);
                let command = Command::DropReplication { source, prefix: prefix.clone(), limit };
                match self.core().propose(command).await? {
                    Response::Count { count: 0 } => break,
                    Response::Count { .. } => {}
                    response => return Err(unexpected(&response).into()),
                }
            }
        }
        Ok(())
    }

    fn link(&self, source: RegionId) -> Link {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.entry(source).or_insert_with(|| Link::new(self.parallel)).clone()
    }

    /// What may come over each link is the region's to say.
    fn limit(&self) -> Result<(), Trouble> {
        let region = self.directory.view().region(self.upstream.own())?;
        let limit = region.and_then(|region| region.inbound_bytes_per_second);
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.values() {
            link.limit(limit);
        }
        Ok(())
    }
}

/// Copies one scope, for ever: hears its source and pays what is owed, side by side.
async fn copy(copier: Copier, upstream: Arc<dyn Upstream>, link: Link, wanted: Wanted, state: Arc<ScopeState>) {
    let core = Arc::clone(copier.transfers.gateway.core());
    let whom = For { wanted: &wanted, state: &state, link: &link };
    let payer = Payer { copier: &copier, whom };
    let mut intake = Intake::new(&core, upstream.as_ref(), &wanted, &state);
    tokio::join!(intake.run(), payer.run());
}
