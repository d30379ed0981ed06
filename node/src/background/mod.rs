//! Work that nobody waits for: extents brought to their redundancy, garbage unlinked, sessions expired.
//!
//! Only the catalog's leader works, and stops as soon as it leads no more. What is to be done follows from the
//! catalog's state alone, so a new leader goes on where the old one stopped, and work done twice is harmless. What is
//! to be done is planned by pure functions; thin loops carry it out.

mod expire;
mod metrics;
mod reencode;
mod sweep;

use std::sync::Arc;

use raft::time::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use crate::gateway::Gateway;

pub use metrics::Metrics;

/// Tells the present moment; `None` while it is not certain that this node's clock is right.
pub type Present = Arc<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// The running background work of a node. Dropping it ends the work.
#[derive(Debug)]
pub struct Background {
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Background {
    /// Begins the work.
    #[must_use]
    pub fn start(gateway: &Gateway, present: Present, metrics: &Metrics) -> Self {
        let core = gateway.core();
        let tasks = [
            tokio::spawn(reencode::run(core.clone(), metrics.clone())),
            tokio::spawn(sweep::run(core.clone(), metrics.clone())),
            tokio::spawn(expire::run(core.clone(), present, metrics.clone())),
        ];
        Self { tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect() }
    }

    /// Ends the work and waits until it has ended.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            // Cancelled, which is what was asked for.
            let _cancelled = task.await;
        }
    }
}
