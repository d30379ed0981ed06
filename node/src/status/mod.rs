//! How the node and its cluster are, and what to make of it.
//!
//! `readiness` is this node alone, for load balancers; `collect` brings together what the node knows of the cluster;
//! `verdict` judges it; `metrics` shows groups and totals to Prometheus.

mod collect;
mod disks;
mod metrics;
mod readiness;
mod verdict;

pub use collect::Collector;
pub use metrics::GroupMetrics;
pub use readiness::{Readiness, ReadinessTask};
pub use verdict::{Facts, Judgement, judge};
