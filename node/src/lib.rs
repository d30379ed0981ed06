//! One running node.

pub mod access;
pub mod acme;
pub mod admin;
pub mod api;
pub mod audit;
pub mod background;
pub mod cluster;
pub mod config;
pub mod deletion;
pub mod environment;
pub mod federation;
#[cfg(test)]
mod fuzz;
pub mod gateway;
pub mod identity;
pub mod ldap;
pub mod limit;
pub mod login;
pub mod members;
pub mod peer;
pub mod regions;
pub mod registry;
pub mod replication;
pub mod reseal;
pub mod residency;
pub mod scrub;
pub mod serve;
pub mod shards;
pub mod signin;
pub mod start;
pub mod status;
pub mod telemetry;
pub mod tenant;
pub mod vault;
pub mod web;
