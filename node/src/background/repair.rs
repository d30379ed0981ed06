//! The list of extents below their redundancy, worked off in order of danger, several at a time.
//!
//! The list is long when a node is lost, and what becomes dangerous while it is worked off comes first: each round looks
//! at its top again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use raft::catalog::ShortfallKey;
use storage::switch;

use super::cause::Cause;
use super::leader::{Duty, Left};
use super::work::{Outcome, PARALLEL, Worker};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Entries read at a time.
const PAGE_ENTRIES: usize = 128;

/// The work on the list.
#[derive(Debug)]
pub(super) struct Repair {
    worker: Worker,
    cursor: Option<ShortfallKey>,
}

impl Repair {
    /// Work that has not begun.
    pub(super) const fn new(worker: Worker) -> Self {
        Self { worker, cursor: None }
    }
}

impl Duty for Repair {
    const NAME: &'static str = "repair";
    const LOOK_INTERVAL: Duration = Duration::from_secs(2);
    const ROUND_REST: Duration = Duration::from_millis(50);

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let view = core.records.view();
        let page = view.shortfalls(self.cursor.as_ref(), PAGE_ENTRIES)?;
        let mut keys = match &self.cursor {
            Some(cursor) => {
                let top = view.shortfalls(None, PAGE_ENTRIES)?;
                overtaking(top.into_iter().map(|(key, _)| key), cursor)
            }
            None => Vec::new(),
        };
        keys.extend(page.iter().map(|(key, _)| *key));
        self.cursor = page.last().map(|(key, _)| *key).filter(|_| page.len() == PAGE_ENTRIES);
        run(&self.worker, core, keys.into_iter().map(|key| (key.object, key.extent)), Cause::Damage).await?;
        Ok(if self.cursor.is_some() { Left::More } else { Left::Nothing })
    }

    fn retire(&mut self) {
        self.cursor = None;
        self.worker.forget();
    }

    fn hurried(&self) -> bool {
        switch::rare("background.reencode.hurry")
    }
}

/// Entries from the top of the list that are more dangerous than the place that the work has come to.
fn overtaking(top: impl Iterator<Item = ShortfallKey>, cursor: &ShortfallKey) -> Vec<ShortfallKey> {
    top.filter(|key| key.spare < cursor.spare).collect()
}

/// Works on extents, several at a time, as long as this node leads. Returns how many were changed.
pub(super) async fn run(
    worker: &Worker,
    core: &Arc<Core>,
    extents: impl Iterator<Item = super::work::ExtentKey> + Send,
    cause: Cause,
) -> Result<u64, CatalogError> {
    let extents: Vec<_> = extents.collect();
    let mut outcomes = stream::iter(extents)
        .map(|key| async move {
            if core.records.is_leader() { worker.work(core, key, cause).await } else { Ok(Outcome::Idle) }
        })
        .buffer_unordered(PARALLEL);
    let mut changed = 0;
    while let Some(outcome) = outcomes.next().await {
        changed += u64::from(outcome? == Outcome::Done);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;
    use storage::shard::{ExtentIndex, ObjectId};

    use super::*;

    #[test]
    fn what_is_more_dangerous_overtakes() {
        let key = |spare, number| ShortfallKey {
            spare,
            since: Timestamp(number),
            object: ObjectId([1; 16]),
            extent: ExtentIndex(0),
        };
        let top = [key(0, 9), key(1, 1), key(2, 1)];
        assert_eq!(overtaking(top.into_iter(), &key(1, 5)), [key(0, 9)]);
        assert!(overtaking(top.into_iter(), &key(0, 1)).is_empty());
    }
}
