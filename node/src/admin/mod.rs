//! The node's local socket: what an operator on this machine may ask, as HTTP with JSON. Who can open the socket owns the
//! node, and may ask other nodes of the cluster through it for what concerns their machines (`remote`). No other way to
//! it exists.

mod carried;
mod copies;
mod damage;
mod damage_types;
mod deletion_types;
mod departures;
mod garbage;
mod history;
mod job_types;
mod jobs;
mod machine;
mod machine_types;
mod move_types;
mod moves;
mod namespace_types;
mod namespaces;
mod place_types;
mod places;
mod refusal;
mod region_types;
mod regions;
mod remote;
mod replication;
mod replication_report;
mod replication_types;
mod residency;
mod residency_types;
mod router;
mod takeover;
mod takeover_types;
mod types;

pub use damage_types::*;
pub use deletion_types::*;
pub(crate) use departures::state;
pub(crate) use history::change;
pub use job_types::*;
pub use machine_types::*;
pub use move_types::*;
pub use namespace_types::*;
pub use place_types::*;
pub use region_types::*;
pub use remote::RemoteAdmin;
pub use replication_types::*;
pub use residency_types::*;
pub(crate) use router::metrics;
pub use router::{Admin, SOCKET, router};
pub use takeover_types::*;
pub use types::*;
