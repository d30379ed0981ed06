//! What the gateway has in hand at one moment. All of it is zero on a node that nobody asks anything.

use super::Gateway;

/// The gateway's load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of the write budget that are taken.
    pub write_budget_used_bytes: u64,
    /// Bytes of the read budget that are taken, those of copies included.
    pub read_budget_used_bytes: u64,
    /// Uploads that are being written.
    pub uploads_active: u64,
    /// Blobs that are being read.
    pub reads_active: u64,
    /// Operations and background writes that a shutdown would wait for.
    pub operations: u64,
}

impl Gateway {
    /// The load as of now.
    #[must_use]
    pub fn load(&self) -> Load {
        let core = &self.core;
        let gauge = |gauge: &prometheus_client::metrics::gauge::Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        Load {
            write_budget_used_bytes: core.budget.used_bytes() as u64,
            read_budget_used_bytes: (core.reads.used_bytes() + core.copies.used_bytes()) as u64,
            uploads_active: gauge(&core.metrics.uploads_active),
            reads_active: gauge(&core.metrics.reads_active),
            operations: core.tasks.len() as u64,
        }
    }
}
