//! Who may do what: the directory's rules in memory, and the one place where they are applied.
//!
//! `caller` says who asks, `rights` holds what the directory says, `rules` in the order in which it is looked for, `decide`
//! is the decision, `listing` the same for lists, `explain` tells why. Who the caller is was found out before, by `login`.

mod bounds;
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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use raft::directory::{Action, StateError};
use raft::time::{Clock, Timestamp};
use storage::exec::Exec;
use storage::switch;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

pub use caller::{Caller, Grant, GrantKind, Principal, PrincipalError, Shown, Way};
pub use decide::Decision;
pub use explain::{EXPLAINED_RULES_MAX, ExplainedRule, Explanation, Outcome};
pub use listing::Listing;
pub use metrics::Metrics;
#[cfg(test)]
pub(crate) use rights::Records;
pub use rights::{Fallen, Rights};

use self::read::Reading;
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

/// Why it is not known who may do what at this moment.
#[derive(Debug, thiserror::Error)]
pub enum NotPresent {
    /// The directory's replica cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Each time that it is read it has changed by the end.
    #[error("who may do what changes faster than it can be read: nothing was done, try again")]
    Restless,
}

/// Who may do what, as this node knows it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    rights: Arc<ArcSwap<Rights>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    source: Option<Source>,
    /// Whether the directory's quorum has confirmed since the start what was read.
    confirmed: Arc<AtomicBool>,
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
        let source = Some(Source { directory, exec });
        Self { rights: Arc::default(), clock, metrics: Metrics::default(), source, confirmed: Arc::default() }
    }

    /// What a test says, for ever.
    #[must_use]
    pub fn fixed(rights: Rights, clock: Arc<dyn Clock>) -> Self {
        let (rights, confirmed) = (Arc::new(ArcSwap::from_pointee(rights)), Arc::new(AtomicBool::new(true)));
        Self { rights, clock, metrics: Metrics::default(), source: None, confirmed }
    }

    /// The same as if no quorum had confirmed it.
    #[cfg(test)]
    pub(crate) fn unconfirmed(self) -> Self {
        self.confirmed.store(false, Ordering::Relaxed);
        self
    }

    /// What a test says from now on.
    #[cfg(test)]
    pub(crate) fn replace(&self, rights: Rights) {
        self.rights.store(Arc::new(rights));
    }

    /// The same, shown by these metrics.
    #[must_use]
    pub(crate) fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The same, where keys of people who log in elsewhere stop so many seconds after they were last there; `None`: never.
    #[must_use]
    pub(crate) fn with_people_keys(self, seconds: Option<u64>) -> Self {
        self.rights.store(Arc::new(Rights::default().with_people_keys(seconds)));
        self
    }

    /// The rights as they are known now.
    #[must_use]
    pub fn rights(&self) -> Arc<Rights> {
        self.rights.load_full()
    }

    /// The rights as the directory's replica has them at this moment, also if [`keep`](Self::keep) has not read them yet.
    ///
    /// # Errors
    /// When they cannot be read, or change all the time.
    pub(crate) async fn present(&self) -> Result<Arc<Rights>, NotPresent> {
        let (Some(source), known) = (&self.source, self.rights()) else { return Ok(self.rights()) };
        let (view, before) = (source.directory.view(), Arc::clone(&known));
        match source.exec.run(move || read::read(&view, &before)).await? {
            Reading::Known => Ok(known),
            Reading::Changed(rights) => Ok(rights),
            Reading::Restless => Err(NotPresent::Restless),
        }
    }

    /// Whether the directory's quorum has confirmed since the start that nothing older is known than was acknowledged by
    /// then. In a region that is cut off it may never be.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
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
        let confirming = source.confirmed();
        tokio::pin!(confirming);
        let mut confirmed = timeout(PATIENCE, &mut confirming).await.is_ok();
        if !confirmed {
            warn!("the directory cannot be confirmed: the access rules are those that this node knows");
        }
        let mut changes = source.directory.changes();
        loop {
            changes.mark_unchanged();
            let begun = Instant::now();
            // What is read now is no older than what was confirmed before.
            if self.reread(source).await && confirmed {
                self.confirmed.store(true, Ordering::Relaxed);
            }
            sleep(REST.max(begun.elapsed() * REST_FACTOR)).await;
            tokio::select! {
                changed = timeout(REREAD_AFTER, changes.changed()) => {
                    if let Ok(Err(_closed)) = changed {
                        // The replica has stopped: the process is about to end.
                        sleep(REREAD_AFTER).await;
                    }
                }
                () = &mut confirming, if !confirmed => confirmed = true,
            }
        }
    }

    /// Reads the directory once, if it has changed; whether what is known now is what it says.
    async fn reread(&self, source: &Source) -> bool {
        let (view, present) = (source.directory.view(), self.rights());
        if present.is_known() && switch::broken("access.rules.read_once") {
            return true;
        }
        let read = source.exec.run(move || {
            let read = read::read(&view, &present)?;
            let read_now = if let Reading::Changed(rights) = &read { rights } else { &present };
            let version = read_now.version();
            let is_present = view.access_version()? == version;
            Ok::<_, StateError>((read, is_present))
        });
        match read.await {
            Ok((read, is_present)) => {
                if let Reading::Changed(rights) = read {
                    self.metrics.read(&rights);
                    self.rights.store(rights);
                }
                is_present && self.rights.load().is_known()
            }
            Err(error) => {
                warn!(%error, "the access rules cannot be read, those of before are used");
                false
            }
        }
    }
}

impl Source {
    /// Waits until the directory's quorum confirms that the replica has everything that was acknowledged before.
    async fn confirmed(&self) {
        while self.directory.barrier().await.is_err() {
            sleep(RETRY).await;
        }
    }
}
