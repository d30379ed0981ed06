//! A walk through the shards of one disk, page by page, that says of all of them that they are gone, or back.

use std::sync::Arc;

use raft::catalog::{
    Command, DiskLocation, LOCATION_SHARDS_MAX, PlacementKey, Response, ShortfallReason, ShortfallRecord,
};
use storage::shard::{Attempt, ShardIndex, ShardName};

use super::super::leader::Left;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Pages in which nothing had to be said, looked at in one round.
const QUIET_PAGES_MAX: usize = 8;

/// What is said of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// They are missing.
    Gone,
    /// They are there again.
    Back,
}

/// The walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// The disk.
    pub(super) at: DiskLocation,
    /// Why its shards are, or were, missing.
    reason: ShortfallReason,
    /// What is said.
    pub(super) said: Said,
    after: Option<PlacementKey>,
}

/// Walks are the same if they say the same, however far they have come.
impl PartialEq for Walk {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.reason, self.said) == (other.at, other.reason, other.said)
    }
}

impl Walk {
    /// A walk from the first shard on.
    pub(super) const fn new(at: DiskLocation, reason: ShortfallReason, said: Said) -> Self {
        Self { at, reason, said, after: None }
    }

    /// The next page of which something has to be said, and some pages before it of which nothing has.
    pub(super) async fn go_on(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        for _ in 0..QUIET_PAGES_MAX {
            let Some(next) = self.page(core)? else { return Ok(Left::Nothing) };
            if !next.speaks {
                let Some(last) = next.last else { return Ok(Left::Nothing) };
                self.after = Some(last);
                continue;
            }
            let response = core.propose(self.command()).await?;
            let Response::Page { next: Some(next), .. } = response else { return Ok(Left::Nothing) };
            self.after = Some(next);
            return Ok(Left::More);
        }
        Ok(Left::More)
    }

    fn command(&self) -> Command {
        let (node, disk, after, limit, reason) =
            (self.at.node, Some(self.at.disk), self.after, LOCATION_SHARDS_MAX, self.reason);
        match self.said {
            Said::Gone => Command::ReportLocation { node, disk, after, limit, reason },
            Said::Back => Command::ForgiveLocation { node, disk, after, limit, reason },
        }
    }

    /// The next page as this replica has it; `None` when there is none.
    fn page(&self, core: &Core) -> Result<Option<Page>, CatalogError> {
        let view = core.records.view();
        let limit = usize::try_from(LOCATION_SHARDS_MAX).unwrap_or(usize::MAX);
        // The attempt plays no part in the order.
        let after = self.after.map(|PlacementKey { object, extent, shard, .. }| ShardName {
            object,
            extent,
            attempt: Attempt(0),
            shard,
        });
        let names = view.placements(self.at.node, self.at.disk, after.as_ref(), limit)?;
        let mut speaks = false;
        for name in &names {
            speaks |= self.is_news(name.shard, view.shortfall(name.object, name.extent)?.as_ref());
        }
        let full = names.len() == limit;
        let last = names.last().filter(|_| full).map(|name| PlacementKey {
            disk: self.at.disk,
            object: name.object,
            extent: name.extent,
            shard: name.shard,
        });
        Ok((!names.is_empty()).then_some(Page { speaks, last }))
    }

    /// Whether saying it of this shard changes anything.
    fn is_news(&self, shard: ShardIndex, shortfall: Option<&ShortfallRecord>) -> bool {
        match self.said {
            Said::Gone => shortfall.is_none_or(|shortfall| !shortfall.is_missing(shard)),
            Said::Back => shortfall.is_some_and(|shortfall| {
                shortfall.missing.iter().any(|missing| missing.shard == shard && missing.cause == self.reason)
            }),
        }
    }
}

/// A page of shards.
struct Page {
    /// Whether something has to be said of it.
    speaks: bool,
    /// Its last shard, if there may be more.
    last: Option<PlacementKey>,
}
