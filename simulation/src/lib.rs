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

pub mod client;
pub mod clock;
pub mod cluster;
pub mod computer;
pub mod disk;
pub mod entropy;
pub mod network;
pub mod scenario;
pub mod trace;
