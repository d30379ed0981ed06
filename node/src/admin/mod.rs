//! The node's local socket: what an operator on this machine may ask, as HTTP with JSON. No other way to it exists:
//! who can open the socket owns the node.

mod damage;
mod departures;
mod router;
mod types;
mod upkeep;
mod upkeep_types;

pub(crate) use departures::state;
pub(crate) use router::metrics;
pub use router::{Admin, SOCKET, router};
pub use types::*;
pub use upkeep_types::*;
