//! What the cluster agrees on: the generic Raft group and the two state machines, directory and catalog.
//!
//! Architecture invariant: no sockets, no clock, no randomness. Peers are reached through [`group::Transport`], time
//! comes in with each command, and all of openraft stands in [`group`].

pub mod catalog;
pub mod codec;
pub mod directory;
pub mod group;
pub mod id;
pub mod machine;
pub mod time;
