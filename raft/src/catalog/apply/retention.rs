//! When retention runs: a row for each prefix that sets rules for it, in order of the time at which it is due.

use super::context::Context;
use crate::catalog::job::RetentionRunRecord;
use crate::catalog::table::{RetentionDues, RetentionRuns};
use crate::machine::ApplyError;
use crate::policy::RETENTION_FIRST_SECONDS;
use crate::table::Table;
use crate::time::Timestamp;

/// The rules of a prefix were set or changed. The next run leaves time to think again.
pub(super) fn set(context: &mut Context<'_, '_>, prefix: &String, every_seconds: u64) -> Result<(), ApplyError> {
    let last = RetentionRuns::get(context.state, prefix)?.and_then(|run| run.last);
    let soonest = context.now.plus_seconds(every_seconds.min(RETENTION_FIRST_SECONDS));
    let due = last.map_or(Timestamp(0), |last| last.plus_seconds(every_seconds)).max(soonest);
    put(context, prefix, RetentionRunRecord { every_seconds, due, last })
}

/// The prefix sets no rules any more.
pub(super) fn unset(context: &mut Context<'_, '_>, prefix: &String) -> Result<(), ApplyError> {
    if let Some(run) = RetentionRuns::get(context.state, prefix)? {
        RetentionDues::delete(context.state, (&run.due, prefix));
        RetentionRuns::delete(context.state, prefix);
    }
    Ok(())
}

/// A run of a prefix begins now.
pub(super) fn begun(context: &mut Context<'_, '_>, prefix: &String) -> Result<(), ApplyError> {
    let Some(run) = RetentionRuns::get(context.state, prefix)? else { return Ok(()) };
    let due = context.now.plus_seconds(run.every_seconds);
    put(context, prefix, RetentionRunRecord { due, last: Some(context.now), ..run })
}

fn put(context: &mut Context<'_, '_>, prefix: &String, run: RetentionRunRecord) -> Result<(), ApplyError> {
    unset(context, prefix)?;
    RetentionRuns::put(context.state, prefix, &run);
    RetentionDues::put(context.state, (&run.due, prefix), &());
    Ok(())
}
