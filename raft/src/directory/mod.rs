//! The directory: the cluster-wide group. Nodes, regions, join tokens, namespaces.

mod command;
mod record;

pub use command::{Command, Refusal, Response};
pub use record::*;
