//! The environment: everything that the simulator swaps, as one value handed to a node at start.
//!
//! Architecture invariant: network, disk, key-value engine, wall clock, entropy, threads and programs reach the rest of this
//! crate only from here; timers are tokio's. `clippy.toml` bans the direct ways.

mod commands;
mod entropy;
mod network;
mod process;
mod real;

use std::sync::Arc;

use raft::group::Witness;
use raft::time::Clock;
use storage::disk::Files;
use storage::exec::Exec;
use storage::kv::Engines;
use storage::seal::Keys;

pub use commands::{CommandError, Commands, OUTPUT_BYTES_MAX, Output, no_commands};
pub use entropy::Entropy;
pub use network::{BoxFuture, BoxStream, Listener, Network, Stream};
pub use real::{real, real_keys, real_network};

/// What a node runs on.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Listeners and connections.
    pub network: Arc<dyn Network>,
    /// Files and directories.
    pub files: Arc<dyn Files>,
    /// Key-value engines.
    pub engines: Arc<dyn Engines>,
    /// What engines and disks encrypt with. Empty until the node has opened its vault, before it opens any of them.
    pub keys: Keys,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Blocking and CPU-heavy work.
    pub exec: Exec,
    /// Other programs.
    pub commands: Arc<dyn Commands>,
    /// Who looks on while the groups work: the simulator's judges. Nobody in production.
    pub witness: Option<Arc<dyn Witness>>,
}
