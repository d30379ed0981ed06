//! Tests of the group: openraft's storage suite, clusters in one process, crashes, and the frozen encodings.

mod cluster;
mod determinism;
mod durability;
mod golden;
mod harness;
mod hostile_snapshot;
mod retired;
mod sealed;
mod storage_suite;
mod stranger;
mod takeover;
mod toy;
mod witness;
