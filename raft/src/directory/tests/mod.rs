//! Tests of the directory as a whole: each command's meaning in plain words, and the formats.

mod access;
mod aside;
mod audit;
mod authority;
mod certificate;
mod cluster;
mod departure;
mod disk;
mod domain;
mod golden;
mod model;
mod namespace;
mod region;
mod replacement;
mod store;
mod token;
