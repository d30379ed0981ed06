//! From a data directory to a running node, and back: everything is opened, wired and closed here, in order.
//!
//! `launch` is the order of it: `data_dir` opens what is on disk, `groups` the Raft groups over it, `wire` puts the rooms
//! together, `listen` opens the ports, `ports` says what is served on which, `servers` serves it; `node` is the whole with its end, `inspect`
//! what can be seen of it from within the process. No room finds another one by itself.

mod acme;
mod callers;
mod data_dir;
mod error;
mod groups;
mod health;
mod inspect;
mod keeper;
mod launch;
mod listen;
mod node;
mod outside;
mod ports;
mod servers;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_admin;
#[cfg(test)]
mod tests_audit;
#[cfg(test)]
mod tests_authority;
#[cfg(test)]
mod tests_copies;
#[cfg(test)]
mod tests_deletion;
#[cfg(test)]
mod tests_departure;
#[cfg(test)]
mod tests_disks;
#[cfg(test)]
mod tests_homes;
#[cfg(test)]
mod tests_moves;
#[cfg(test)]
mod tests_regions;
mod wire;

pub use error::StartError;
pub use node::Node;
