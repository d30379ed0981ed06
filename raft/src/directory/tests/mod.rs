//! Tests of the directory as a whole: each command's meaning in plain words, and the formats.

mod cluster;
mod golden;
mod namespace;
mod store;
mod token;
