//! Tests of the catalog as a whole: each command's meaning in plain words, a model, invariants by full scan, formats.

mod blob;
mod clock;
mod collect;
mod cost;
mod damage;
mod deletion;
mod golden;
mod invariants;
mod job;
mod location;
mod manifest;
mod model;
mod moves;
mod once;
mod policies;
mod redundancy;
mod restore;
mod role;
mod shards;
mod store;
mod upload;
mod usage;
