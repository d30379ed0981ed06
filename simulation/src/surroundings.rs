//! Where clients and judges work: in the simulation, or on the sockets of real processes. The same workload and the same
//! judges run in both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use node::environment::Network;

use crate::history::Microseconds;

/// The way to the nodes and the time since the run began.
#[derive(Clone)]
pub struct Surroundings {
    /// Opens connections.
    pub network: Arc<dyn Network>,
    /// `host:port` of each node's API; node 1 first.
    pub nodes: Arc<[String]>,
    /// Time since the run began: virtual in the simulation. The same for all clients.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Surroundings").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Time since the run began.
    #[must_use]
    pub fn now(&self) -> Microseconds {
        Microseconds::try_from((self.elapsed)().as_micros()).unwrap_or(Microseconds::MAX)
    }
}
