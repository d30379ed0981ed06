//! The administration: what operators may ask, as HTTP with JSON. Who can open the node's local socket owns the node, and may
//! ask other nodes of the cluster through it for what concerns their machines (`remote`). Over the network (`network`) the
//! same is asked by whom the rules let, as far as the table in `needs` says.

mod access;
mod access_changes;
mod access_refusal;
#[cfg(test)]
mod access_tests;
mod access_types;
mod audit;
mod audit_types;
mod audited;
mod authority;
mod authority_types;
mod carried;
mod certificate_types;
mod certificates;
mod copies;
mod damage;
mod damage_types;
mod deletion_types;
mod departures;
mod domain_types;
mod domains;
mod encryption;
mod encryption_types;
#[cfg(test)]
mod escalation_tests;
mod garbage;
mod groups;
mod history;
mod identities;
mod identity_types;
mod issuer_types;
mod issuers;
mod job_types;
mod jobs;
mod machine;
mod machine_types;
mod move_types;
mod moves;
mod namespace_types;
mod namespaces;
mod needs;
mod network;
#[cfg(test)]
mod network_tests;
mod operator;
mod origin;
mod place_types;
mod places;
#[cfg(test)]
mod race_tests;
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
mod whoami;

pub use access_changes::{AccessChanges, AccessError};
pub use access_types::*;
pub use audit_types::*;
pub use authority_types::*;
pub use certificate_types::*;
pub use damage_types::*;
pub use deletion_types::*;
pub(crate) use departures::state;
pub use domain_types::*;
pub use encryption_types::*;
pub(crate) use history::change;
pub use identity_types::*;
pub use issuer_types::*;
pub use job_types::*;
pub use machine_types::*;
pub use move_types::*;
pub use namespace_types::*;
#[cfg(test)]
pub(crate) use needs::needed_paths;
pub use network::{NetworkParts, PREFIX, SCOPE, network_router};
pub use operator::{Denied, Operator};
pub use place_types::*;
pub use region_types::*;
pub use remote::RemoteAdmin;
pub use replication_types::*;
pub use residency_types::*;
pub(crate) use router::metrics;
pub use router::{Admin, SOCKET, router};
pub use takeover_types::*;
pub use types::*;
pub use whoami::WhoamiAnswer;
