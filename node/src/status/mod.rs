//! How the node and its cluster are, and what to make of it.
//!
//! `readiness` is this node alone, for load balancers; `collect` brings together what the node knows of the cluster;
//! `regions` says how each
//! region is; `verdict` judges it; `metrics` shows groups and totals to Prometheus.

mod collect;
mod disks;
mod metrics;
mod readiness;
mod regions;
mod verdict;
mod verdict_audit;
mod verdict_authority;
mod verdict_certificates;
mod verdict_copies;
mod verdict_disks;
mod verdict_encryption;
mod verdict_regions;
mod verdict_residency;

pub use collect::Collector;
pub use metrics::GroupMetrics;
pub use readiness::{Readiness, ReadinessTask};
pub use verdict::{Facts, Judgement, judge};
