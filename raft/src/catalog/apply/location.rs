//! What is said of a whole node or disk: its shards are missing, or there again. Page by page, in the order of the
//! placement index, so that one command costs what its page holds.

use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardIndex};

use super::context::Context;
use super::{malformed, redundancy};
use crate::catalog::layout::PlacementKey;
use crate::catalog::limit::LOCATION_SHARDS_MAX;
use crate::catalog::response::Response;
use crate::catalog::shortfall::ShortfallReason;
use crate::catalog::table::ShardPlacements;
use crate::id::NodeId;
use crate::machine::ApplyError;
use crate::table::Table;

/// Shards of a node or disk, from a place on.
#[derive(Debug)]
pub(super) struct Page {
    /// The node.
    pub(super) node: NodeId,
    /// Its disk, or all.
    pub(super) disk: Option<DiskId>,
    /// Where the last page ended.
    pub(super) after: Option<PlacementKey>,
    /// Most shards.
    pub(super) limit: u32,
}

impl Page {
    fn shards(&self, context: &Context<'_, '_>) -> Result<(Vec<PlacementKey>, Option<PlacementKey>), ApplyError> {
        let limit = usize::try_from(self.limit.min(LOCATION_SHARDS_MAX)).unwrap_or(0);
        let after = self.after.as_ref().map(|key| (&self.node, &key.disk, &key.object, &key.extent, &key.shard));
        let rows = match &self.disk {
            Some(disk) => ShardPlacements::scan::<(NodeId, DiskId)>(context.state, (&self.node, disk), after, limit)?,
            None => ShardPlacements::scan::<NodeId>(context.state, &self.node, after, limit)?,
        };
        let key = |((_, disk, object, extent, shard), _)| PlacementKey { disk, object, extent, shard };
        let shards: Vec<PlacementKey> = rows.into_iter().map(key).collect();
        let next = shards.last().copied().filter(|_| shards.len() == limit);
        Ok((shards, next))
    }

    /// Why the page or what is said of it makes no sense.
    fn refuse(&self, reason: ShortfallReason) -> Option<Response> {
        if !reason.is_of_location() {
            return Some(malformed(format!("{} is nothing that befalls a whole node or disk", reason.name())));
        }
        if self.limit == 0 {
            return Some(malformed("a page of no shards"));
        }
        let strayed = self.disk.zip(self.after).is_some_and(|(disk, after)| disk != after.disk);
        strayed.then(|| malformed("a page of one disk that goes on from another one"))
    }
}

/// All shards of the page are missing.
pub(super) fn report(
    context: &mut Context<'_, '_>,
    page: &Page,
    reason: ShortfallReason,
) -> Result<Response, ApplyError> {
    each(context, page, reason, |context, object, index, shard| redundancy::lose(context, object, index, shard, reason))
}

/// Those that are missing for this reason alone are there again.
pub(super) fn forgive(
    context: &mut Context<'_, '_>,
    page: &Page,
    reason: ShortfallReason,
) -> Result<Response, ApplyError> {
    each(context, page, reason, |context, object, index, shard| {
        redundancy::regain(context, object, index, shard, reason)
    })
}

fn each(
    context: &mut Context<'_, '_>,
    page: &Page,
    reason: ShortfallReason,
    change: impl Fn(&mut Context<'_, '_>, ObjectId, ExtentIndex, ShardIndex) -> Result<bool, ApplyError>,
) -> Result<Response, ApplyError> {
    if let Some(refusal) = page.refuse(reason) {
        return Ok(refusal);
    }
    let (shards, next) = page.shards(context)?;
    let mut count = 0;
    for PlacementKey { object, extent, shard, .. } in shards {
        count += u64::from(change(context, object, extent, shard)?);
    }
    Ok(Response::Page { count, next })
}
