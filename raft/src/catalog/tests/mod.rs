//! Tests of the catalog as a whole: each command's meaning in plain words, a model, invariants by full scan, formats.

mod blob;
mod clock;
mod collect;
mod cost;
mod damage;
mod deletion;
mod evict;
mod golden;
mod invariants;
mod job;
mod location;
mod manifest;
mod model;
mod moves;
mod once;
mod owed;
mod policies;
mod promised;
mod redundancy;
mod replication;
mod restore;
mod role;
mod shards;
mod store;
mod upload;
mod usage;
