//! The audit log as a whole, on a disk that fails on demand.

mod log;
mod sinks;
mod tell;
mod writer;
