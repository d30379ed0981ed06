//! Extents of a profile that the cluster has outgrown: looked for once the cluster gives a better one, and enlisted, so
//! that the repair writes them anew.
//!
//! A walk through all extents, page by page, ahead of the repair by a bounded number of entries. It begins when what
//! the cluster gives has not changed for a while, since nodes join one after another. What a new leader walks again it
//! mostly finds done.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raft::catalog::{Command, ExtentBody, ExtentRecord, Shortfall, ShortfallKey, ShortfallReason};
use storage::codec::Profile;
use storage::shard::{ExtentIndex, ObjectId};
use storage::switch;
use tokio::time::Instant;
use tracing::info;

use super::leader::{Duty, Left};
use super::plan::{is_crowded, strength};
use super::work::{ExtentKey, certain_survey};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::placement::Survey;

/// Extents looked at in one round.
const PAGE_EXTENTS: usize = 256;
/// The walk waits while the list has so many entries that can be worked off.
const ENLISTED_MAX: u64 = 1024;

/// What a whole cluster gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    profile: Profile,
    /// Whether shards of an extent lie on several nodes.
    spread: bool,
}

impl Offer {
    fn worth(self) -> (bool, (usize, usize)) {
        (self.spread, strength(self.profile))
    }
}

/// A walk through all extents.
#[derive(Clone, Copy, Debug)]
struct Walk {
    offered: Offer,
    after: Option<ExtentKey>,
    found: u64,
}

/// The looking.
#[derive(Debug)]
pub(super) struct Outgrown {
    settle: Duration,
    /// What the cluster gives, and since when.
    offered: Option<(Offer, Instant)>,
    walk: Option<Walk>,
    /// What was offered at the last walk that came to its end.
    walked: Option<Offer>,
}

impl Outgrown {
    /// Walks begin when the profile was the same for so long.
    pub(super) const fn new(settle: Duration) -> Self {
        Self { settle, offered: None, walk: None, walked: None }
    }

    /// Takes over what the whole cluster gives now, and begins a walk if that is better than at the last one. `None`: it
    /// is not whole.
    fn offer(&mut self, offered: Option<Offer>, now: Instant) {
        let Some(offer) = offered else {
            self.offered = None;
            self.walk = None;
            return;
        };
        let since = self.offered.filter(|(before, _)| *before == offer).map_or(now, |(_, since)| since);
        self.offered = Some((offer, since));
        if self.walk.is_some_and(|walk| walk.offered != offer) {
            self.walk = None;
        }
        if self.walked.is_some_and(|walked| walked.worth() > offer.worth()) {
            // It gives less than it did: what is written from now on is outgrown when it gives more again.
            self.walked = Some(offer);
        }
        let better = self.walked.is_none_or(|walked| offer.worth() > walked.worth());
        if better && self.walk.is_none() && now.saturating_duration_since(since) >= self.settle {
            self.walk = Some(Walk { offered: offer, after: None, found: 0 });
        }
    }
}

/// The commands that enlist those extents of a page that are outgrown.
fn enlist(page: &[(ExtentKey, ExtentRecord)], offered: Profile, survey: &Survey) -> Vec<Command> {
    let outgrown = page.iter().filter_map(|((object, extent), record)| {
        let ExtentBody::Coded(coded) = &record.body else { return None };
        let shortfall = Shortfall { missing: Vec::new(), reason: ShortfallReason::Outgrown };
        let crowded = coded.numbered().any(|(shard, at)| is_crowded(coded, survey, shard, at.on()));
        (crowded || strength(coded.geometry.profile) < strength(offered)).then_some(Command::ReportShortfall {
            object: *object,
            extent: *extent,
            attempt: coded.attempt,
            shortfall,
        })
    });
    outgrown.collect()
}

impl Duty for Outgrown {
    const NAME: &'static str = "outgrown";
    const LOOK_INTERVAL: Duration = Duration::from_secs(5);
    const ROUND_REST: Duration = Duration::from_millis(50);

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let Some(survey) = certain_survey(core) else { return Ok(Left::Nothing) };
        let placement = core.place(&std::collections::BTreeSet::new(), ObjectId([0; 16]), ExtentIndex(0)).ok();
        let offered = placement.filter(|placement| !placement.degraded);
        let offered = offered.map(|placement| Offer { profile: placement.profile, spread: !survey.sole });
        self.offer(offered, Instant::now());
        let Some(walk) = &mut self.walk else { return Ok(Left::Nothing) };
        let view = core.records.view();
        let totals = view.totals()?;
        let lost = totals.shortfalls_by_spare.get(&ShortfallKey::LOST).copied().unwrap_or(0);
        if totals.shortfalls.saturating_sub(lost) > ENLISTED_MAX {
            return Ok(Left::Nothing);
        }
        let page = view.all_extents(walk.after, PAGE_EXTENTS)?;
        let commands = enlist(&page, walk.offered.profile, &survey);
        walk.found += commands.len() as u64;
        for outcome in join_all(commands.into_iter().map(|command| core.propose(command))).await {
            outcome?;
        }
        if let Some((last, _)) = page.last().filter(|_| page.len() == PAGE_EXTENTS) {
            walk.after = Some(*last);
            return Ok(Left::More);
        }
        if walk.found > 0 {
            info!(profile = %walk.offered.profile, extents = walk.found, "extents of weaker profiles are to be written anew");
        }
        self.walked = Some(walk.offered);
        self.walk = None;
        Ok(Left::Nothing)
    }

    fn retire(&mut self) {
        *self = Self::new(self.settle);
    }

    fn hurried(&self) -> bool {
        switch::rare("background.outgrown.hurry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Offer {
        Offer { profile: text.parse().unwrap(), spread: true }
    }

    #[test]
    fn a_walk_begins_when_the_cluster_has_settled_on_something_better() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut outgrown = Outgrown::new(Duration::from_mins(1));
        outgrown.offer(Some(whole("2+1")), start);
        assert!(outgrown.walk.is_none());
        outgrown.offer(Some(whole("2+2")), at(50));
        outgrown.offer(Some(whole("2+2")), at(100));
        assert!(outgrown.walk.is_none());
        outgrown.offer(Some(whole("2+2")), at(110));
        assert_eq!(outgrown.walk.unwrap().offered, whole("2+2"));
        outgrown.walked = Some(whole("2+2"));
        outgrown.walk = None;
        outgrown.offer(Some(whole("2+2")), at(500));
        assert!(outgrown.walk.is_none(), "walked already");
        outgrown.offer(None, at(510));
        outgrown.offer(Some(whole("2+2")), at(1000));
        assert!(outgrown.walk.is_none(), "a node was away and is back");
    }

    #[test]
    fn the_same_profile_over_several_nodes_is_better_than_over_one() {
        let mut outgrown = Outgrown::new(Duration::ZERO);
        outgrown.walked = Some(Offer { spread: false, ..whole("8+1") });
        outgrown.offer(Some(whole("1+1")), Instant::now());
        assert!(outgrown.walk.is_some());
    }

    #[test]
    fn what_shrank_and_grew_is_walked_again() {
        let start = Instant::now();
        let mut outgrown = Outgrown::new(Duration::ZERO);
        outgrown.walked = Some(whole("2+2"));
        outgrown.offer(Some(whole("2+1")), start);
        assert!(outgrown.walk.is_none());
        outgrown.offer(Some(whole("2+2")), start);
        assert!(outgrown.walk.is_some());
    }
}
