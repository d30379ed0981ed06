//! Logs and metrics of one node.
//!
//! Each room defines its own metrics beside its code; this room keeps the registry and writes it out. Nothing here
//! knows what the numbers mean.

mod log;
mod metrics;

pub use log::{InitError, init};
pub use metrics::{METRICS_CONTENT_TYPE, Metrics, ProcessMetrics};
