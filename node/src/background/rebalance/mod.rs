//! Shards moved from disks that are too full to disks that are too empty, until all are within a band.
//!
//! It rests while anything is below its redundancy or a node is away: those come first, and the picture is not that
//! of the whole cluster. A disk of which no shard can go anywhere is left alone for a while.

mod balance;
mod choose;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use raft::catalog::{CodedExtent, DiskLocation, ShortfallKey};
use storage::shard::ShardName;
use storage::switch;
use tokio::time::Instant;

pub(super) use balance::Balance;

use super::leader::{Duty, Left};
use super::work::{ExtentKey, Outcome, PARALLEL, Worker, certain_survey};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::placement::{Survey, Wanted};
use crate::gateway::write::{How, Transfer};
use choose::choose;

/// Shards of one disk looked at in one round.
const PAGE_SHARDS: usize = 256;
/// Moves of one round, after which the fills are read again.
const MOVES_PER_ROUND: usize = 32;
/// Time for which a disk is left alone of which no shard can move.
const STUCK_REST: Duration = Duration::from_mins(30);

/// The work.
#[derive(Debug)]
pub(super) struct Rebalance {
    worker: Worker,
    band_percent: u8,
    /// Where to go on with each disk, and whether any of its shards moved in this pass.
    cursors: BTreeMap<DiskLocation, (ShardName, bool)>,
    /// Disks of which no shard can move, and when to look again.
    stuck: BTreeMap<DiskLocation, Instant>,
}

/// A shard to be moved.
type Move = (ExtentKey, CodedExtent, Transfer);

impl Rebalance {
    /// Work that has not begun.
    pub(super) const fn new(worker: Worker, band_percent: u8) -> Self {
        Self { worker, band_percent, cursors: BTreeMap::new(), stuck: BTreeMap::new() }
    }

    /// The moves of one page of a disk. Returns them with the page's last shard and whether the page was full.
    fn page(
        &self,
        core: &Core,
        survey: &Survey,
        balance: &mut Balance,
        donor: DiskLocation,
    ) -> Result<(Vec<Move>, Option<ShardName>), CatalogError> {
        let view = core.records.view();
        let avoided = self.worker.avoided();
        let after = self.cursors.get(&donor).map(|(name, _)| name);
        let page = view.placements(donor.node, donor.disk, after, PAGE_SHARDS)?;
        let full = page.len() == PAGE_SHARDS;
        let mut moves: Vec<Move> = Vec::new();
        let mut last = None;
        for name in page {
            last = Some(name);
            let key = (name.object, name.extent);
            let Some(coded) = view.extent(name.object, name.extent)?.and_then(|record| record.body.into_coded()) else {
                continue;
            };
            if moves.iter().any(|(other, ..)| *other == key) {
                continue;
            }
            let shard_bytes = coded.geometry.shard_length_bytes();
            let wanted = Wanted { object: name.object, extent: name.extent, shard_bytes, avoided: &avoided };
            if let Some(to) = choose(balance, survey, &coded, name.shard, &wanted) {
                balance.shift(donor, to, shard_bytes);
                moves.push((key, coded, Transfer { shard: name.shard, to, how: How::Copy }));
                if moves.len() == MOVES_PER_ROUND {
                    return Ok((moves, last));
                }
            }
        }
        Ok((moves, last.filter(|_| full)))
    }
}

impl Duty for Rebalance {
    const NAME: &'static str = "rebalance";
    const LOOK_INTERVAL: Duration = Duration::from_secs(30);
    const ROUND_REST: Duration = Duration::from_millis(50);

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let Some(survey) = certain_survey(core) else { return Ok(Left::Nothing) };
        let view = core.records.view();
        let totals = view.totals()?;
        let lost = totals.shortfalls_by_spare.get(&ShortfallKey::LOST).copied().unwrap_or(0);
        let held = view.disks()?;
        let leaving = held.iter().any(|(at, _)| survey.is_leaving(*at));
        if totals.shortfalls > lost || leaving || !survey.holders.values().all(|holder| holder.live) {
            return Ok(Left::Nothing);
        }
        let now = Instant::now();
        self.stuck.retain(|_, again| *again > now);
        let mut balance = Balance::of(&survey, &held, self.band_percent);
        let donors = balance.donors();
        self.cursors.retain(|at, _| donors.contains(at));
        let Some(donor) = donors.into_iter().find(|at| !self.stuck.contains_key(at)) else {
            return Ok(Left::Nothing);
        };
        let moved_before = self.cursors.get(&donor).is_some_and(|(_, moved)| *moved);
        let (moves, next) = self.page(core, &survey, &mut balance, donor)?;
        let worker = &self.worker;
        let mut outcomes = stream::iter(moves)
            .map(|(key, coded, transfer)| async move {
                if core.records.is_leader() { worker.copy(core, key, &coded, transfer).await } else { Outcome::Idle }
            })
            .buffer_unordered(PARALLEL);
        let mut moved = moved_before;
        while let Some(outcome) = outcomes.next().await {
            moved |= outcome == Outcome::Done;
        }
        drop(outcomes);
        if let Some(next) = next {
            self.cursors.insert(donor, (next, moved));
        } else {
            self.cursors.remove(&donor);
            if !moved {
                self.stuck.insert(donor, now + STUCK_REST);
            }
        }
        Ok(Left::More)
    }

    fn retire(&mut self) {
        self.cursors.clear();
        self.stuck.clear();
    }

    fn hurried(&self) -> bool {
        switch::rare("background.rebalance.hurry")
    }
}
