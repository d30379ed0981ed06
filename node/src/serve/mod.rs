//! The accept loop: connections in, requests to an axum router, for clients, peers and the local socket alike.
//!
//! What holds: memory of a connection is bounded; a handshake, a header, an idle connection and an answer that nobody reads
//! have deadlines; one address has so many connections and no more; a TLS handshake never keeps the next connection
//! waiting; callers without a certificate never keep out those with one, where certificates are asked for, and one whose
//! certificate counts no more is let go; what a proxy
//! says of a client counts only if the proxy is trusted; new certificates end no connection; a shutdown lets requests in
//! progress finish for a while and then ends everything that the loop has started. `Date` comes from the environment's
//! clock.

mod accept;
mod activity;
mod alpn;
mod callers;
mod certificates;
mod client;
mod connection;
mod crowd;
mod first_bytes;
mod framing;
mod front;
mod limits;
mod metrics;
mod plaintext;
mod proxies;
mod proxy_protocol;
mod strangers;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

pub use accept::{Drain, Server, serve};
pub use alpn::{ACME_TLS, AlpnAnswers};
pub use callers::{Callers, Standing};
pub use certificates::{Pair as CertificatePair, PairError};
pub use client::{Client, ClientCertificate};
pub use connection::Protection;
pub(crate) use crowd::Crowd;
pub use front::{Front, SafeHeaders};
pub use limits::{Limits, Patience};
pub use metrics::Metrics;
pub use plaintext::{PlaintextRefused, check_plaintext};
pub use tls::{CertificateFiles, CertificateFilesError, CertificatePaths, TlsConfig};
