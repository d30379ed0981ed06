//! The directory: the cluster-wide group. Nodes, regions, join tokens, namespaces, and who may do what.
//!
//! `command` says what can be asked, `apply` what it does, `table` what is kept under which key, `record` what the rows
//! hold, `place` where the data of a repository rests, `view` how they are read, `limit` every constant.

mod access;
mod apply;
mod audit;
mod authority;
mod certificate;
mod command;
mod domain;
mod limit;
mod namespace;
mod place;
mod record;
mod refusal;
mod table;
mod view;

#[cfg(test)]
mod tests;

pub use access::*;
pub use apply::{Directory, is_region_name};
pub use audit::ResidencyAudit;
pub use authority::*;
pub use certificate::*;
pub use command::{Command, Response};
pub use domain::{DomainRecord, DomainRefusal, is_domain};
pub use limit::*;
pub use namespace::*;
pub use place::{Place, PlaceSources};
pub use record::*;
pub use refusal::Refusal;
pub use view::View;

pub use crate::table::StateError;
