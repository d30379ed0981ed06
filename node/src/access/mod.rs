//! Who may do what: the directory's rules in memory, and the one place where they are applied.
//!
//! `caller` says who asks, `rights` holds what the directory says, `rules` in the order in which it is looked for, `decide`
//! is the decision, `listing` the same for lists, `explain` tells why. Who the caller is was found out before, by `login`.

mod caller;
mod condition;
mod decide;
mod explain;
mod listing;
mod metrics;
mod read;
mod rights;
mod rule;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use raft::directory::Action;
use raft::time::{Clock, Timestamp};
use storage::exec::Exec;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

pub use caller::{Caller, Grant, GrantKind, Principal, PrincipalError, Way};
pub use decide::Decision;
pub use explain::{EXPLAINED_RULES_MAX, ExplainedRule, Explanation, Outcome};
pub use listing::Listing;
pub use metrics::Metrics;
#[cfg(test)]
pub(crate) use rights::Records;
pub use rights::{Fallen, Rights};

use crate::deletion::DirectoryRecords;

/// Least rest between two readings.
const REST: Duration = Duration::from_millis(20);
/// The rest is so many times as long as the reading took: many changes of many rules do not keep a core busy.
const REST_FACTOR: u32 = 4;
/// Longest time between two readings.
const REREAD_AFTER: Duration = Duration::from_secs(5);
/// Rest between two attempts to have the directory confirmed.
const RETRY: Duration = Duration::from_millis(100);
/// For so long after its start a node waits for the directory's quorum before it takes its own replica at its word. A right
/// that was taken away while the node was down is not given by it then; a region that is cut off goes on all the same.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who may do what, as this node knows it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    rights: Arc<ArcSwap<Rights>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    source: Option<Source>,
}

/// Where the rules are read from.
#[derive(Clone, Debug)]
struct Source {
    directory: Arc<dyn DirectoryRecords>,
    exec: Exec,
}

impl Access {
    /// Begins. Nothing is known before [`keep`](Self::keep) has read the directory.
    pub(crate) fn start(directory: Arc<dyn DirectoryRecords>, exec: Exec, clock: Arc<dyn Clock>) -> Self {
        Self { rights: Arc::default(), clock, metrics: Metrics::default(), source: Some(Source { directory, exec }) }
    }

    /// What a test says, for ever.
    #[must_use]
    pub fn fixed(rights: Rights, clock: Arc<dyn Clock>) -> Self {
        Self { rights: Arc::new(ArcSwap::from_pointee(rights)), clock, metrics: Metrics::default(), source: None }
    }

    /// The same, shown by these metrics.
    #[must_use]
    pub(crate) fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The rights as they are known now.
    #[must_use]
    pub fn rights(&self) -> Arc<Rights> {
        self.rights.load_full()
    }

    /// The present moment, for conditions and for accounts that expire.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts a decision about a client's request.
    pub(crate) fn count(&self, action: Action, decision: &Decision) {
        self.metrics.decided(action, decision);
    }

    /// Follows the directory, for ever.
    pub(crate) async fn keep(self) {
        let Some(source) = &self.source else { return std::future::pending().await };
        if !source.confirmed(Instant::now() + PATIENCE).await {
            warn!("the directory cannot be confirmed: the access rules are those that this node knows");
        }
        let mut changes = source.directory.changes();
        loop {
            changes.mark_unchanged();
            let begun = Instant::now();
            self.reread(source).await;
            sleep(REST.max(begun.elapsed() * REST_FACTOR)).await;
            if let Ok(Err(_closed)) = timeout(REREAD_AFTER, changes.changed()).await {
                // The replica has stopped: the process is about to end.
                sleep(REREAD_AFTER).await;
            }
        }
    }

    /// Reads the directory once, if it has changed.
    async fn reread(&self, source: &Source) {
        let (view, present) = (source.directory.view(), self.rights());
        match source.exec.run(move || read::read(&view, &present)).await {
            Ok(Some(rights)) => {
                self.metrics.read(&rights);
                self.rights.store(Arc::new(rights));
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "the access rules cannot be read, those of before are used"),
        }
    }
}

impl Source {
    /// Whether the directory's quorum confirms by then that the replica has everything that was acknowledged before.
    async fn confirmed(&self, deadline: Instant) -> bool {
        loop {
            match timeout_at(deadline, self.directory.barrier()).await {
                Ok(Ok(())) => return true,
                Ok(Err(_)) => sleep(RETRY).await,
                Err(_late) => return false,
            }
        }
    }
}
