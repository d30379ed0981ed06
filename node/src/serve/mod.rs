//! The accept loop: connections in, requests to an axum router, for clients, peers and the local socket alike.
//!
//! What holds: memory of a connection is bounded; a handshake, a header and an idle connection have deadlines; a TLS
//! handshake never keeps the next connection waiting; callers without a certificate never keep out those with one, where
//! certificates are asked for; a shutdown lets requests in progress finish for a while and
//! then ends everything that the loop has started. `Date` comes from the environment's clock.

mod accept;
mod connection;
mod first_bytes;
mod limits;
mod plaintext;
mod strangers;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_mutual;
mod tls;

pub use accept::{Drain, Server, serve};
pub use connection::{Identify, Protection};
pub use limits::Limits;
pub use plaintext::{PlaintextRefused, check_plaintext};
pub use tls::{CertificateFiles, CertificateFilesError};
