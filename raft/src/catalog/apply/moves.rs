//! Single shards moved: rebuilt or copied to another place, while the others of their extent stay where they are.

use std::collections::BTreeSet;

use storage::shard::{Attempt, ExtentIndex, ObjectId};

use super::context::Context;
use super::{extent, malformed, placement, redundancy};
use crate::catalog::command::ShardMove;
use crate::catalog::layout::{CodedExtent, ExtentBody, ExtentRecord, ShardLocation};
use crate::catalog::response::Response;
use crate::catalog::table::Extents;
use crate::machine::ApplyError;
use crate::table::Table;

/// Puts new shards in the place of some old ones, if the layout is still the expected one. A repetition is recognised by
/// the new attempt.
pub(super) fn move_shards(
    context: &mut Context<'_, '_>,
    object: ObjectId,
    index: ExtentIndex,
    expected: Attempt,
    attempt: Attempt,
    moves: &[ShardMove],
) -> Result<Response, ApplyError> {
    let Some(ExtentRecord { offset_bytes, body: ExtentBody::Coded(old) }) =
        Extents::get(context.state, (&object, &index))?
    else {
        return Ok(Response::Stale);
    };
    if old.attempt != expected {
        let repeated = old.attempt == attempt && moves.iter().all(|moved| old.location(moved.shard) == Some(&moved.to));
        return Ok(if repeated { Response::Done } else { Response::Stale });
    }
    let new = match changed(&old, attempt, moves) {
        Ok(new) => new,
        Err(message) => return Ok(malformed(message)),
    };
    let mut discarded = Vec::with_capacity(moves.len());
    for ShardMove { shard, to } in moves {
        let Some(from) = old.location(*shard) else { continue };
        placement::remove(context, object, index, &old, *shard, from)?;
        placement::add(context, object, index, &new, *shard, to)?;
        discarded.push((*shard, *from));
    }
    extent::discard(context, object, index, &old, discarded)?;
    redundancy::moved(context, object, index, &old, &new, moves)?;
    Extents::put(context.state, (&object, &index), &ExtentRecord { offset_bytes, body: ExtentBody::Coded(new) });
    Ok(Response::Done)
}

/// The layout after the moves, or why they do not fit.
fn changed(old: &CodedExtent, attempt: Attempt, moves: &[ShardMove]) -> Result<CodedExtent, String> {
    if moves.is_empty() {
        return Err("no shard is moved".to_owned());
    }
    if !moves.windows(2).all(|pair| pair[0].shard < pair[1].shard) {
        return Err("moved shards are named by shard index, each once".to_owned());
    }
    extent::check_fresh(old, attempt)?;
    let mut new = CodedExtent { attempt, ..old.clone() };
    for ShardMove { shard, to } in moves {
        if to.attempt != attempt {
            return Err(format!("shard {} was written by another attempt than the move's", shard.0));
        }
        let Some(location) = new.shards.get_mut(usize::from(shard.0)) else {
            return Err(format!("profile {} has no shard {}", old.geometry.profile, shard.0));
        };
        *location = *to;
    }
    let disks: BTreeSet<_> = new.shards.iter().map(ShardLocation::on).collect();
    if disks.len() < new.shards.len() {
        return Err("two shards of an extent on one disk".to_owned());
    }
    Ok(new)
}
