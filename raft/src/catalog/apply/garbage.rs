//! The garbage queue: what nothing holds waits here for its deadline.
//!
//! An item is queued exactly while nothing holds it; a touch moves it. What happens at the deadline is not here.

use super::context::Context;
use crate::catalog::limit::GARBAGE_GRACE_SECONDS;
use crate::catalog::record::GarbageItem;
use crate::catalog::table::{GarbageDeadlines, GarbageQueue};
use crate::machine::ApplyError;
use crate::table::Table;

/// Queues an item with a whole grace before it, or moves it there.
pub(super) fn queue(context: &mut Context<'_, '_>, item: &GarbageItem) -> Result<(), ApplyError> {
    let deadline = context.now.plus_seconds(GARBAGE_GRACE_SECONDS);
    match GarbageDeadlines::get(context.state, item)? {
        Some(present) if present == deadline => return Ok(()),
        Some(present) => GarbageQueue::delete(context.state, (&present, item)),
        None => {}
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
    }
    Ok(())
}
