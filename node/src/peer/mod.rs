//! What the nodes of a cluster say to each other: tonic over HTTP/2, mutual TLS.
//!
//! [`Peers`] is the way out: two connections to each peer, one for small messages and one for bulk data, so that
//! shards and snapshots never delay heartbeats and Raft. [`router`] is the way in; it takes requests of authenticated
//! peers only, but for [`Admission`]. Every call has a deadline, every message a limit. Clients' requests that are handed
//! on to a node of another region (`forward`, `forwarded`) go over connections of their own (`lanes`).
//!
//! Architecture invariant: gRPC and the protocol's generated types stay in this module; one table
//! ([`Refusal`]) translates errors in both directions.

mod address_book;
mod administration;
mod admission;
mod channel;
mod client;
mod client_shards;
pub(crate) mod codec;
mod convert;
mod error;
mod forward;
mod forwarded;
mod groups;
mod guard;
mod held;
mod lanes;
pub mod limits;
mod metrics;
mod outgoing;
mod region_book;
mod security;
mod server;
mod server_shards;
mod status;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transport;

/// The generated protocol.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::pedantic,
    reason = "generated from proto/peer.proto, which documents it"
)]
mod proto {
    tonic::include_proto!("regnode.peer.v1");
}

pub use administration::{AdminAnswer, AdminRequest, Administration, Asker};
pub use admission::{Admission, JoinAnswer, JoinError, JoinRequest, join};
pub use client::Peers;
pub use client_shards::ShardStep;
pub use error::PeerError;
pub use forwarded::Forwarded;
pub use groups::{Frames, Groups, GroupsError};
pub use metrics::Metrics;
pub use security::{NameOf, PeerIdentity, RegionOf, Security, Trust};
pub use server::{Server, router};
pub use status::Refusal;
