//! The garbage queue: what nothing holds waits here for its deadline.
//!
//! An item is queued exactly while nothing holds it; a touch moves it. What happens at the deadline is told in `collect`.

use storage::switch;

use super::context::{Context, subtract};
use crate::catalog::garbage::GarbageItem;
use crate::catalog::table::{GarbageDeadlines, GarbageQueue};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// Queues an item, or moves it. A deadline that has passed is now: nothing is queued before what was collected already.
pub(super) fn queue(context: &mut Context<'_, '_>, item: &GarbageItem, deadline: Timestamp) -> Result<(), ApplyError> {
    let deadline = deadline.max(context.now);
    match GarbageDeadlines::get(context.state, item)? {
        Some(present) if present == deadline => return Ok(()),
        Some(present) => GarbageQueue::delete(context.state, (&present, item)),
        None => *context.totals.garbage.of(item) += 1,
    }
    GarbageQueue::put(context.state, (&deadline, item), &());
    GarbageDeadlines::put(context.state, item, &deadline);
    Ok(())
}

/// Takes an item out; one that is not queued is no error.
pub(super) fn dequeue(context: &mut Context<'_, '_>, item: &GarbageItem) -> Result<(), ApplyError> {
    if let Some(deadline) = GarbageDeadlines::get(context.state, item)? {
        GarbageQueue::delete(context.state, (&deadline, item));
        GarbageDeadlines::delete(context.state, item);
        subtract(context.totals.garbage.of(item), 1, "items in the garbage queue")?;
    }
    Ok(())
}

/// When an item is due; `None` if it is not queued.
pub(super) fn deadline(context: &Context<'_, '_>, item: &GarbageItem) -> Result<Option<Timestamp>, ApplyError> {
    GarbageDeadlines::get(context.state, item)
}

/// A planted fault: what is queued stays queued when a blob is pushed again, and is collected whatever it is by then.
pub(super) fn ignores_generations() -> bool {
    switch::broken("catalog.garbage.ignore_generation")
}
