//! Collection: garbage goes when its deadline has passed, the oldest first, a bounded amount with each command.
//!
//! Whether something is garbage is looked up again here, in log order: what is held is never touched, whatever the queue
//! says. Condemning and removing is one step; from then on the blob does not exist, and its shards wait in the list of
//! discards until no reader can hold them.

use super::context::{Context, subtract};
use super::{deletion, extent, garbage, history, link, policy, tombstone, unheld};
use crate::catalog::garbage::GarbageItem;
use crate::catalog::limit::{GARBAGE_COLLECTED_PER_COMMAND, ROWS_COLLECTED_PER_COMMAND};
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::response::Response;
use crate::catalog::table::{Blobs, GarbageQueue, Links, Manifests};
use crate::machine::ApplyError;
use crate::table::{Rows, Table};
use crate::time::Timestamp;

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// Bytes of a blob.
    bytes: u64,
    /// Rows that went, beyond a constant number.
    rows: usize,
    /// It stays, and is looked at again later.
    stays: bool,
}

impl Taken {
    /// Nothing came back, and nothing went.
    const STAYS: Self = Self { bytes: 0, rows: 0, stays: true };
}

/// Collects up to `limit` items that are due, and fewer when they hold many rows; at least one.
pub(super) fn collect(context: &mut Context<'_, '_>, limit: u32) -> Result<Response, ApplyError> {
    let limit = limit.clamp(1, GARBAGE_COLLECTED_PER_COMMAND) as usize;
    let (mut items, mut bytes, mut rows) = (0, 0, 0);
    for ((deadline, item), ()) in due(context, limit)? {
        if rows >= ROWS_COLLECTED_PER_COMMAND {
            break;
        }
        // What went before may have moved it, or taken it along.
        if garbage::deadline(context, &item)? != Some(deadline) {
            continue;
        }
        context.clock.first_garbage = deadline;
        garbage::dequeue(context, &item)?;
        let taken = take(context, &item)?;
        items += u64::from(!taken.stays);
        bytes += taken.bytes;
        rows += taken.rows;
    }
    if items > 0 {
        context.totals.collected_items += items;
        context.totals.collected_bytes += bytes;
        context.totals.last_collected = Some(context.now);
    }
    Ok(Response::Collected { items, bytes, more: !due(context, 1)?.is_empty() })
}

fn due(context: &Context<'_, '_>, limit: usize) -> Result<Rows<GarbageQueue>, ApplyError> {
    let end = Timestamp(context.now.0.saturating_add(1));
    GarbageQueue::between(context.state, context.clock.first_garbage, end, limit)
}

fn take(context: &mut Context<'_, '_>, item: &GarbageItem) -> Result<Taken, ApplyError> {
    match item {
        GarbageItem::Blob { digest, generation } => take_blob(context, digest, *generation),
        GarbageItem::Link { repository, digest } => take_link(context, repository, digest),
        GarbageItem::Manifest { repository, digest, generation } => {
            take_manifest(context, repository, digest, *generation)
        }
        GarbageItem::Tombstone { repository, digest } => {
            tombstone::forget(context, repository, digest)?;
            Ok(Taken::default())
        }
        GarbageItem::TagHistory { repository, tag } => {
            Ok(Taken { rows: history::forget(context, repository, tag)?, ..Taken::default() })
        }
    }
}

fn take_blob(context: &mut Context<'_, '_>, digest: &Digest, generation: u64) -> Result<Taken, ApplyError> {
    let garbage = Blobs::get(context.state, digest)?
        .filter(|blob| garbage::ignores_generations() || (blob.links == 0 && blob.generation == generation));
    let Some(blob) = garbage else { return Ok(Taken::default()) };
    Blobs::delete(context.state, digest);
    subtract(&mut context.totals.blobs, 1, "blobs in total")?;
    subtract(&mut context.totals.blob_bytes, blob.length_bytes, "bytes of blobs in total")?;
    if blob.references == 0 {
        link::subtract_unreferenced(context, blob.length_bytes)?;
    }
    let rows = extent::discard_object(context, blob.object)?;
    Ok(Taken { bytes: blob.length_bytes, rows, ..Taken::default() })
}

fn take_link(context: &mut Context<'_, '_>, repository: &RepositoryName, digest: &Digest) -> Result<Taken, ApplyError> {
    let garbage =
        Links::get(context.state, (repository, digest))?.filter(|record| record.uses == 0 || link::collects_used());
    let Some(record) = garbage else { return Ok(Taken::default()) };
    if link::stays(context, repository, digest, &record)? {
        return Ok(Taken::STAYS);
    }
    let blob = Blobs::require(context.state, digest)?;
    let learned = record.touched;
    link::unlink(context, repository, digest, &record, blob, learned)?;
    Ok(Taken::default())
}

fn take_manifest(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    generation: u64,
) -> Result<Taken, ApplyError> {
    let garbage = Manifests::get(context.state, (repository, digest))?
        .filter(|record| record.tags == 0 && record.generation == generation);
    let Some(record) = garbage else { return Ok(Taken::default()) };
    // What this region is has changed, and the manifests below the prefix were not all looked at again.
    if policy::keeps_unheld(context.state, repository)? {
        return Ok(Taken::STAYS);
    }
    if unheld::stays(context, repository, digest, &record)? {
        return Ok(Taken::STAYS);
    }
    let rows = record.blobs.len() + record.children.len();
    deletion::collect_manifest(context, repository, digest, &record)?;
    Ok(Taken { rows, ..Taken::default() })
}
