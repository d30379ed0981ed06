//! One running node.

pub mod admin;
pub mod api;
pub mod background;
pub mod cluster;
pub mod config;
pub mod deletion;
pub mod environment;
pub mod gateway;
pub mod identity;
pub mod members;
pub mod peer;
pub mod regions;
pub mod registry;
pub mod replication;
pub mod residency;
pub mod scrub;
pub mod serve;
pub mod shards;
pub mod start;
pub mod status;
pub mod telemetry;
