//! Garbage that is due is taken out of the catalog, some at a time. What is due, and whether it still is garbage, the
//! catalog alone decides, in the order of its log; asking it again, on whatever node, is harmless.

use std::time::Duration;

use raft::catalog::{Command, Response};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Deletion;
use super::error::DeletionError;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::{Core, unexpected};

/// Things taken out by one command: others wait for it for some milliseconds at most.
const ITEMS_PER_COMMAND: u32 = 32;
/// How long an operator waits for one answer.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Things.
    pub items: u64,
    /// Bytes of the blobs among them.
    pub bytes: u64,
    /// Whether more is due.
    pub more: bool,
}

/// Takes out some of what is due. Nothing is proposed when nothing is.
pub(crate) async fn collect_some(core: &Core) -> Result<Collected, CatalogError> {
    let view = core.records.view();
    // The catalog's clock stands still while nothing happens; the command moves it on.
    let now = view.clock()?.max(core.clock.now());
    if view.garbage_next()?.is_none_or(|deadline| deadline > now) {
        return Ok(Collected::default());
    }
    match core.propose(Command::CollectGarbage { limit: ITEMS_PER_COMMAND }).await? {
        Response::Collected { items, bytes, more } => Ok(Collected { items, bytes, more }),
        response => Err(unexpected(&response)),
    }
}

impl Deletion {
    /// Takes out what is due without any pace, for two seconds at most; an operator who wants all of it calls again while
    /// there is more.
    pub async fn collect_garbage(&self) -> Result<Collected, DeletionError> {
        self.core.records.barrier().await?;
        let begun = Instant::now();
        let mut sum = Collected::default();
        loop {
            let taken = collect_some(&self.core).await?;
            sum.items += taken.items;
            sum.bytes += taken.bytes;
            sum.more = taken.more;
            if !taken.more || begun.elapsed() >= AT_ONCE {
                return Ok(sum);
            }
        }
    }
}
