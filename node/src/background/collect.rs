//! Garbage whose deadline has passed is taken out of the catalog, some at a time, within a budget of things per second and
//! no more than half of the time while clients are served.
//!
//! The bytes of what is taken out go on the catalog's list of discards, which `sweep` works off.

use std::sync::Arc;
use std::time::Duration;

use storage::switch;
use tracing::debug;

use super::Metrics;
use super::leader::{Duty, Left};
use crate::deletion::collect_some;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::write::Pace;

/// Rest between two looks at the queue. One read each.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Rest between two rounds when more is due.
const ROUND_REST: Duration = Duration::from_millis(10);
/// Commands of one round.
const ROUND_COMMANDS: usize = 64;

/// The work.
#[derive(Debug)]
pub(super) struct Collect {
    metrics: Metrics,
    pace: Arc<Pace>,
}

impl Collect {
    /// Work within a budget of things per second; zero is without limit.
    pub(super) fn new(metrics: Metrics, items_per_second: u64) -> Self {
        Self { metrics, pace: Pace::new(items_per_second) }
    }
}

impl Duty for Collect {
    const NAME: &'static str = "collect";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = ROUND_REST;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let mut stint = self.pace.stint();
        let (mut items, mut bytes) = (0, 0);
        let mut left = Left::More;
        for _ in 0..ROUND_COMMANDS {
            if !core.records.is_leader() {
                break;
            }
            let taken = collect_some(core).await?;
            self.metrics.collected_items.inc_by(taken.items);
            self.metrics.collected_bytes.inc_by(taken.bytes);
            items += taken.items;
            bytes += taken.bytes;
            if !taken.more {
                left = Left::Nothing;
                break;
            }
            stint.done(core, taken.items.max(1)).await;
        }
        if items > 0 {
            debug!(items, bytes, "garbage collected");
        }
        Ok(left)
    }

    fn retire(&mut self) {}

    fn hurried(&self) -> bool {
        switch::rare("background.collect.hurry")
    }
}
