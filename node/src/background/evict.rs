//! What rests here no more goes: the content of repositories to which this region has become foreign.
//!
//! No doubt may be left that it rests elsewhere. The directory's quorum has confirmed this node's replica, its version is the
//! one by which the catalog goes, and both call the region foreign; the command names that version, and takes nothing away
//! by any other. After a takeover of the directory nothing goes until an operator has looked at what returned regions hold:
//! the lost majority may have made a home or a copy of this one, of which the directory does not know. What a copy was made of stays until the catalog has forgotten how far the copy had come: it would call
//! itself complete otherwise when the namespace comes back. In a region that is cut off nothing goes.
//!
//! The bytes of what no other repository links go on the catalog's list of discards, which `sweep` works off.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, EVICTED_PER_COMMAND, RepositoryName, Response, StateError};
use raft::directory;
use raft::id::NodeId;
use raft::policy::Role;
use storage::kv::Engine;
use storage::switch;
use tokio::time::timeout;
use tracing::info;

use super::Metrics;
use super::leader::{Duty, Left};
use crate::deletion::DirectoryRecords;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::{Core, unexpected};
use crate::gateway::write::Pace;

/// Rest between two looks. A few reads each.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Rest between two rounds when more is to go.
const ROUND_REST: Duration = Duration::from_millis(20);
/// How long the directory's quorum is waited for.
const CONFIRM: Duration = Duration::from_secs(6);
/// Repositories of one round.
const ROUND_REPOSITORIES: usize = 32;

/// The work.
#[derive(Debug)]
pub(super) struct Evict {
    directory: Arc<dyn DirectoryRecords>,
    metrics: Metrics,
    pace: Arc<Pace>,
    /// Version of the policies by which nothing is left to go: nobody writes where the region is foreign.
    clean: Option<u64>,
}

impl Evict {
    /// Work within a budget of things per second; zero is without limit.
    pub(super) fn new(directory: Arc<dyn DirectoryRecords>, metrics: Metrics, items_per_second: u64) -> Self {
        Self { directory, metrics, pace: Pace::new(items_per_second), clean: None }
    }

    /// Whether the directory, confirmed by its quorum, is of this version and holds nothing back.
    async fn agrees(&self, version: u64) -> Result<bool, StateError> {
        let confirmed = timeout(CONFIRM, self.directory.barrier()).await;
        let view = self.directory.view();
        let held = view.cluster()?.is_none_or(|cluster| cluster.evictions_held.is_some());
        Ok(matches!(confirmed, Ok(Ok(()))) && !held && view.policy_version()? == version)
    }

    /// Takes away what a repository holds. False if that has to wait.
    async fn evict(&self, core: &Arc<Core>, repository: &RepositoryName, version: u64) -> Result<bool, CatalogError> {
        let (mut stint, mut items, mut bytes) = (self.pace.stint(), 0, 0);
        loop {
            if !core.records.is_leader() {
                return Ok(false);
            }
            let command =
                Command::Evict { repository: repository.clone(), limit: EVICTED_PER_COMMAND, policy_version: version };
            let taken = match core.propose(command).await? {
                Response::Evicted { items, bytes, more } => (items, bytes, more),
                // The policies have changed, or a copy is not forgotten yet.
                Response::Stale => return Ok(false),
                response => return Err(unexpected(&response)),
            };
            self.metrics.evicted_items.inc_by(taken.0);
            self.metrics.evicted_bytes.inc_by(taken.1);
            items += taken.0;
            bytes += taken.1;
            if !taken.2 {
                info!(%repository, items, bytes, "what rests in another region now has gone from here");
                return Ok(true);
            }
            stint.done(core, taken.0.max(1)).await;
        }
    }
}

/// Whether the directory says too that a region is foreign to a repository. `own` is a node of the region.
fn is_foreign(
    view: &directory::View<Arc<dyn Engine>>,
    own: NodeId,
    repository: &RepositoryName,
) -> Result<bool, StateError> {
    let (Some(node), Some(place)) = (view.node(own)?, view.place(repository)?) else { return Ok(false) };
    Ok(place.role(node.region) == Role::Foreign)
}

impl Duty for Evict {
    const NAME: &'static str = "evict";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = ROUND_REST;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let version = core.records.view().policy_version()?;
        if self.clean == Some(version) {
            return Ok(Left::Nothing);
        }
        let (mut after, mut waits) = (None, false);
        loop {
            let (view, behind) = (core.records.view(), after.take());
            let found = core.exec.run(move || view.evictable(behind.as_ref(), ROUND_REPOSITORIES)).await?;
            let whole = found.len() < ROUND_REPOSITORIES;
            if !found.is_empty() && !self.agrees(version).await? {
                return Ok(Left::Nothing);
            }
            let mut gone = false;
            for repository in &found {
                let foreign = is_foreign(&self.directory.view(), core.roster.own(), repository)?;
                let evicted = foreign && self.evict(core, repository, version).await?;
                (gone, waits) = (gone || evicted, waits || !evicted);
            }
            if whole {
                self.clean = (!waits).then_some(version);
                return Ok(Left::Nothing);
            }
            if gone {
                return Ok(Left::More);
            }
            // All of these have to wait: what is behind them need not.
            after = found.last().cloned();
        }
    }

    fn retire(&mut self) {
        self.clean = None;
    }

    fn hurried(&self) -> bool {
        switch::rare("background.evict.hurry")
    }
}
