//! What became of discarded shard sets: forgotten once their files are gone.

use super::context::{Context, subtract};
use crate::catalog::command::DiscardKey;
use crate::catalog::response::Response;
use crate::catalog::table::Discards;
use crate::machine::ApplyError;
use crate::table::Table;

/// Forgets shard sets; those that are forgotten already do not count.
pub(super) fn swept(context: &mut Context<'_, '_>, discards: &[DiscardKey]) -> Result<Response, ApplyError> {
    let mut count = 0;
    for discard in discards {
        let key = (&discard.not_before, &discard.object, &discard.extent, &discard.attempt);
        if let Some(record) = Discards::get(context.state, key)? {
            Discards::delete(context.state, key);
            subtract(&mut context.totals.discards, 1, "discards in total")?;
            subtract(&mut context.totals.discarded_bytes, record.bytes, "discarded bytes")?;
            count += 1;
        }
    }
    Ok(Response::Count { count })
}
