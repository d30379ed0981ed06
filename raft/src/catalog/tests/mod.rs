//! Tests of the catalog as a whole: each command's meaning in plain words, a model, invariants by full scan, formats.

mod blob;
mod clock;
mod cost;
mod deletion;
mod golden;
mod invariants;
mod manifest;
mod model;
mod once;
mod redundancy;
mod store;
mod upload;
