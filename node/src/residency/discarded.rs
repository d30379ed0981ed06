//! Files whose object is gone and that the catalog is about to unlink: of what was deleted, and of what has left the region.

use std::collections::BTreeSet;

use raft::catalog::{DiscardKey, StateError};
use raft::time::Timestamp;
use storage::shard::ObjectId;

use super::answer::{AnswerError, Answerer, Catalog};
use super::question::{InventoryAnswer, StrayFile};

/// Rows of the list read at a time.
const ROWS_AT_ONCE: usize = 4096;
/// Most rows that are looked through for one answer. Of what stands behind them nothing says that it is to be unlinked.
const ROWS_MAX: usize = 262_144;

impl Answerer {
    /// Counts those of the strays as to be removed that stand on the list of what is unlinked.
    pub(super) async fn without_discarded(&self, mut answer: InventoryAnswer) -> Result<InventoryAnswer, AnswerError> {
        if answer.strays.is_empty() {
            return Ok(answer);
        }
        let strays: BTreeSet<ObjectId> = answer.strays.iter().filter_map(|stray| stray.object.parse().ok()).collect();
        let view = self.parts.records.view();
        let discarded = self.parts.exec.run(move || discarded(&view, &strays)).await?;
        let is_discarded = |object: &str| object.parse().is_ok_and(|object| discarded.contains(&object));
        let (gone, strays): (Vec<StrayFile>, _) =
            answer.strays.into_iter().partition(|stray| is_discarded(&stray.object));
        answer.strays = strays;
        for file in gone {
            answer.unlinked.add(file.bytes);
        }
        Ok(answer)
    }
}

/// Those of the objects of which something is to be unlinked, sooner or later. Blocks.
fn discarded(view: &Catalog, objects: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, StateError> {
    let mut found = BTreeSet::new();
    let mut after: Option<DiscardKey> = None;
    for _ in 0..ROWS_MAX / ROWS_AT_ONCE {
        let page = view.discards(Timestamp(u64::MAX - 1), after.as_ref(), ROWS_AT_ONCE)?;
        found.extend(page.iter().map(|(key, _)| key.object).filter(|object| objects.contains(object)));
        if page.len() < ROWS_AT_ONCE || found.len() == objects.len() {
            break;
        }
        after = page.into_iter().next_back().map(|(key, _)| key);
    }
    Ok(found)
}
