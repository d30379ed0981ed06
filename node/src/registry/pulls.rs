//! When manifests were last pulled, for retention: noted in memory and written to the catalog every minute.
//!
//! Never a write per pull: a manifest is noted once an hour at most, and what another node has written within the hour
//! is not written again. What is noted is bounded; beyond that, and in a crash, up to a minute of pulls is lost, which
//! makes a manifest look unused for that much longer and no more.
//!
//! Where a region has but a copy, retention runs at the home: what is written here is told there as well, where it is
//! noted like a pull of the home's own. A home that does not answer is told later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft::catalog::{Command, Digest, PULLS_PER_COMMAND, RepositoryName, Response};
use raft::id::{RegionId, RequestId};
use raft::policy::Role;
use storage::exec::Exec;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::environment::Entropy;
use crate::gateway::catalog::{CatalogError, Records};
use crate::regions::Regions;
use crate::replication::{PullsTold, QuestionError, ask};

/// Time between two writes.
const FLUSH_INTERVAL: Duration = Duration::from_mins(1);
/// Pulls of one manifest within this time are one.
const COALESCED: Duration = Duration::from_hours(1);
/// Manifests that wait to be written.
const PENDING_MAX: usize = 16 << 10;
/// Manifests that are remembered to be written already. Of more, some are written again sooner.
const WRITTEN_MAX: usize = 32 << 10;

type Pulled = (RepositoryName, Digest);

#[derive(Debug, Default)]
struct Noted {
    pending: BTreeSet<Pulled>,
    /// When they were written.
    written: BTreeMap<Pulled, Instant>,
    /// Written ones of which a home elsewhere may have to hear.
    untold: BTreeSet<Pulled>,
}

impl Noted {
    /// Notes of whom a home may have to hear, as far as there is room.
    fn add_untold(&mut self, pulls: impl IntoIterator<Item = Pulled>) {
        let room = PENDING_MAX.saturating_sub(self.untold.len());
        self.untold.extend(pulls.into_iter().take(room));
    }
}

#[derive(Debug)]
struct Shared {
    records: Arc<dyn Records>,
    entropy: Arc<dyn Entropy>,
    exec: Exec,
    noted: Mutex<Noted>,
}

/// Notes pulls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulls {
    shared: Arc<Shared>,
}

impl Pulls {
    /// Nothing is noted yet.
    pub(crate) fn new(records: Arc<dyn Records>, entropy: Arc<dyn Entropy>, exec: Exec) -> Self {
        Self { shared: Arc::new(Shared { records, entropy, exec, noted: Mutex::default() }) }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client got a manifest.
    pub(crate) fn note(&self, repository: &RepositoryName, digest: &Digest) {
        let pulled = (repository.clone(), *digest);
        let mut noted = self.noted();
        if noted.written.get(&pulled).is_some_and(|at| at.elapsed() < COALESCED) {
            return;
        }
        if noted.pending.len() < PENDING_MAX {
            noted.pending.insert(pulled);
        }
    }

    /// Writes what is noted every minute, and tells homes elsewhere of it, until it is dropped.
    pub(crate) async fn keep(self, regions: Regions) {
        loop {
            sleep(FLUSH_INTERVAL).await;
            if let Err(error) = self.flush().await {
                debug!(%error, "pull times are written later");
            }
            self.tell(&regions).await;
        }
    }

    /// Tells homes elsewhere what clients have pulled of the copies here. What a home does not hear now it hears later.
    pub(crate) async fn tell(&self, regions: &Regions) {
        let untold = std::mem::take(&mut self.noted().untold);
        let places = regions.places();
        let mut kept: BTreeSet<Pulled> = BTreeSet::new();
        let mut homes: BTreeMap<RegionId, Vec<Pulled>> = BTreeMap::new();
        for pulled in untold {
            match places.place(pulled.0.as_str()) {
                Some(place) if place.home != regions.own() && place.role(regions.own()) == Role::Replica => {
                    homes.entry(place.home).or_default().push(pulled);
                }
                Some(_) => {}
                None => {
                    kept.insert(pulled);
                }
            }
        }
        for (home, mut pulls) in homes {
            while !pulls.is_empty() {
                let told = PullsTold { pulls: pulls.split_off(pulls.len().saturating_sub(PULLS_PER_COMMAND)) };
                let answer = match places.region(home) {
                    Some(region) => ask(regions, region, &told).await.map(|_| ()),
                    None => Err(QuestionError::Behind("it is not known here yet".to_owned())),
                };
                if let Err(error) = answer {
                    debug!(%error, region = %home, "the home is told of pulls later");
                    kept.extend(told.pulls);
                    kept.extend(pulls);
                    break;
                }
            }
        }
        self.noted().add_untold(kept);
    }

    /// Writes what is noted. What cannot be written stays noted.
    pub(crate) async fn flush(&self) -> Result<(), CatalogError> {
        let pending = std::mem::take(&mut self.noted().pending);
        let mut left: Vec<Pulled> = pending.into_iter().collect();
        let mut outcome = Ok(());
        while !left.is_empty() && outcome.is_ok() {
            let page = left.split_off(left.len().saturating_sub(PULLS_PER_COMMAND));
            outcome = self.write(&page).await;
            if outcome.is_err() {
                left.extend(page);
            } else {
                let now = Instant::now();
                self.noted().written.extend(page.into_iter().map(|pulled| (pulled, now)));
            }
        }
        let mut noted = self.noted();
        let room = PENDING_MAX.saturating_sub(noted.pending.len());
        noted.pending.extend(left.into_iter().take(room));
        noted.written.retain(|_, at| at.elapsed() < COALESCED);
        while noted.written.len() > WRITTEN_MAX {
            noted.written.pop_first();
        }
        outcome
    }

    /// Writes those of a page that nobody has written lately, whom a home elsewhere is then told of.
    async fn write(&self, page: &[Pulled]) -> Result<(), CatalogError> {
        let (view, asked) = (self.shared.records.view(), page.to_vec());
        let fresh = self.shared.exec.run(move || -> Result<Vec<Pulled>, CatalogError> {
            let now = view.clock()?;
            let mut fresh = Vec::with_capacity(asked.len());
            for (repository, digest) in asked {
                let before = view.pulled(&repository, &digest)?;
                if before.is_none_or(|before| before.plus_seconds(COALESCED.as_secs()) <= now) {
                    fresh.push((repository, digest));
                }
            }
            Ok(fresh)
        });
        let pulls = fresh.await?;
        if pulls.is_empty() {
            return Ok(());
        }
        let request = RequestId(self.shared.entropy.id());
        match self.shared.records.propose(request, Command::RecordPulls { pulls: pulls.clone() }).await? {
            Response::Done | Response::Count { .. } => {
                self.noted().add_untold(pulls);
                Ok(())
            }
            response => Err(CatalogError::Internal { message: format!("unexpected response {response:?}") }),
        }
    }
}
