//! The node's local socket: what an operator on this machine may ask, as HTTP with JSON. Who can open the socket owns the
//! node, and may ask other nodes of the cluster through it for what concerns their machines (`remote`). No other way to
//! it exists.

mod damage;
mod damage_types;
mod departures;
mod machine;
mod machine_types;
mod remote;
mod router;
mod types;

pub use damage_types::*;
pub(crate) use departures::state;
pub use machine_types::*;
pub use remote::RemoteAdmin;
pub(crate) use router::metrics;
pub use router::{Admin, SOCKET, router};
pub use types::*;
