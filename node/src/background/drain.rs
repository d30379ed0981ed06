//! Nodes and disks that are being emptied: what rests on them is brought elsewhere, page by page.
//!
//! How far it has come is seen in the catalog's totals of each disk; a new leader goes on with what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::DiskLocation;
use storage::shard::ShardName;
use storage::switch;

use super::cause::Cause;
use super::leader::{Duty, Left};
use super::repair::run;
use super::work::{Worker, certain_survey};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Shards of one disk looked at in one round.
const PAGE_SHARDS: usize = 64;

/// The work.
#[derive(Debug)]
pub(super) struct Drain {
    worker: Worker,
    /// Where to go on with each disk.
    cursors: BTreeMap<DiskLocation, ShardName>,
}

impl Drain {
    /// Work that has not begun.
    pub(super) const fn new(worker: Worker) -> Self {
        Self { worker, cursors: BTreeMap::new() }
    }
}

impl Duty for Drain {
    const NAME: &'static str = "drain";
    const LOOK_INTERVAL: Duration = Duration::from_secs(5);
    const ROUND_REST: Duration = Duration::from_millis(50);

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let Some(survey) = certain_survey(core) else { return Ok(Left::Nothing) };
        let view = core.records.view();
        let held = view.disks()?;
        let leaving: Vec<DiskLocation> =
            held.into_iter().map(|(at, _)| at).filter(|at| survey.is_leaving(*at)).collect();
        self.cursors.retain(|at, _| leaving.contains(at));
        let mut left = Left::Nothing;
        for at in leaving {
            let page = view.placements(at.node, at.disk, self.cursors.get(&at), PAGE_SHARDS)?;
            match page.last().copied().filter(|_| page.len() == PAGE_SHARDS) {
                Some(last) => {
                    self.cursors.insert(at, last);
                    left = Left::More;
                }
                None => {
                    self.cursors.remove(&at);
                }
            }
            let extents = page.into_iter().map(|name| (name.object, name.extent));
            if run(&self.worker, core, extents, Cause::Drain).await? > 0 {
                left = Left::More;
            }
        }
        Ok(left)
    }

    fn retire(&mut self) {
        self.cursors.clear();
    }

    fn hurried(&self) -> bool {
        switch::rare("background.drain.hurry")
    }
}
