//! What the cluster agrees on: the generic Raft group and the two state machines, directory and catalog.
//!
//! Architecture invariant: no sockets, no clock, no randomness. Peers are reached through [`group::Transport`], time
//! comes in with each command, and all of openraft stands in [`group`].

pub mod catalog;
pub mod codec;
pub mod directory;
#[cfg(test)]
mod golden;
pub mod group;
pub mod id;
mod key;
pub mod machine;
pub mod policy;
#[cfg(test)]
mod strategy;
mod table;
pub mod time;
