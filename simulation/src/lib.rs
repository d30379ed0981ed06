//! The real node code of a whole cluster in one process, under virtual time, with a simulated network, simulated
//! disks and the in-memory engine. One seed decides everything.
//!
//! Architecture invariant: nothing here re-implements a node. What differs from production is the
//! [`node::environment::Environment`] alone, and that peers speak plaintext HTTP/2 (mutual TLS is tested on real
//! sockets).

#[cfg(not(tokio_unstable))]
compile_error!(
    "the simulator needs --cfg tokio_unstable, which .cargo/config.toml sets: a RUSTFLAGS variable overrides it"
);

pub mod clock;
pub mod cluster;
pub mod computer;
pub mod configuration;
mod detour;
pub mod disk;
pub mod engines;
pub mod entropy;
pub mod fault;
pub mod garbage;
pub mod history;
pub mod judge;
mod mounts;
pub mod mutation;
pub mod network;
pub mod operator;
pub mod outcome;
pub mod panics;
pub mod rare;
pub mod report;
#[cfg(feature = "switches")]
pub mod run;
pub mod scenario;
pub mod seed;
pub mod surroundings;
#[cfg(feature = "switches")]
pub mod switches;
mod tpm;
pub mod trace;
pub mod workload;
