//! The repair ledger's cause and end: shards of nodes and disks that are gone are put on the catalog's list, and taken
//! off it when they are back.
//!
//! A node that is away, or a disk that its node says is failing, is given a grace; one that was removed, or that the
//! operator gave up, is not. What is on the list already is not proposed again, so that a new leader, which begins
//! anew, costs reads and no commands.

mod standing;
mod walk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{DiskLocation, ShortfallKey, ShortfallReason};
use storage::switch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::leader::{Duty, Left};
use super::work::certain_survey;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::placement::Survey;
use standing::Absences;
use walk::{Said, Walk};

/// Time after which a location that stays gone is walked through again: a write that was on its way when it went may
/// have been committed since.
const WALK_AGAIN_AFTER: Duration = Duration::from_mins(5);
/// Time after which the list is looked through again for what is back, although nothing changed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(5);
/// Entries of the list looked at in one round.
const PAGE_ENTRIES: usize = 512;

/// A look through the list for what is back.
#[derive(Clone, Debug, Default)]
struct Look {
    after: Option<ShortfallKey>,
    found: BTreeSet<(DiskLocation, ShortfallReason)>,
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    absences: Absences,
    walks: VecDeque<Walk>,
    /// When each location that is gone was last walked through.
    walked: BTreeMap<DiskLocation, Instant>,
    look: Option<Look>,
    /// The last look that came to its end: when, and what was sound then.
    looked: Option<(Instant, BTreeSet<DiskLocation>)>,
}

impl Ledger {
    /// A ledger that gives what is away so much time.
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            absences: Absences::new(grace),
            walks: VecDeque::new(),
            walked: BTreeMap::new(),
            look: None,
            looked: None,
        }
    }

    /// Begins to walk through what is gone, and ends walks that have lost their reason.
    fn plan_walks(&mut self, gone: &BTreeMap<DiskLocation, ShortfallReason>, survey: &Survey, now: Instant) {
        self.walks.retain(|walk| match walk.said {
            Said::Gone => gone.contains_key(&walk.at),
            Said::Back => survey.is_sound(walk.at),
        });
        self.walked.retain(|at, _| gone.contains_key(at));
        for (at, reason) in gone {
            let recent =
                self.walked.get(at).is_some_and(|walked| now.saturating_duration_since(*walked) < WALK_AGAIN_AFTER);
            if !recent && !self.walks.iter().any(|walk| walk.at == *at) {
                if !self.walked.contains_key(at) {
                    warn!(node = %at.node, disk = %at.disk, reason = reason.name(), "shards are taken to be lost and rebuilt elsewhere");
                }
                self.walks.push_back(Walk::new(*at, *reason, Said::Gone));
            }
        }
    }

    /// Begins a look through the list when more is sound than at the last one, or after a while.
    fn plan_look(&mut self, sound: &BTreeSet<DiskLocation>, now: Instant) {
        let due = self.looked.as_ref().is_none_or(|(looked, then)| {
            !sound.is_subset(then) || now.saturating_duration_since(*looked) >= LOOK_AGAIN_AFTER
        });
        if due && self.look.is_none() {
            self.look = Some(Look::default());
            self.looked = Some((now, sound.clone()));
        } else if let Some((_, then)) = &mut self.looked {
            // What goes and returns between two looks is looked for again.
            then.retain(|at| sound.contains(at));
        }
    }

    /// One page of the look. At its end walks begin that take back what was said.
    fn look_on(&mut self, core: &Core, survey: &Survey) -> Result<Left, CatalogError> {
        let Some(look) = &mut self.look else { return Ok(Left::Nothing) };
        let view = core.records.view();
        let page = view.shortfalls(look.after.as_ref(), PAGE_ENTRIES)?;
        for (key, shortfall) in &page {
            if !shortfall.missing.iter().any(|missing| missing.cause.is_of_location()) {
                continue;
            }
            let Some(coded) = view.extent(key.object, key.extent)?.and_then(|record| record.body.into_coded()) else {
                continue;
            };
            for missing in shortfall.missing.iter().filter(|missing| missing.cause.is_of_location()) {
                let at = coded.location(missing.shard).map(raft::catalog::ShardLocation::on);
                look.found.extend(at.filter(|at| survey.is_sound(*at)).map(|at| (at, missing.cause)));
            }
        }
        if page.len() == PAGE_ENTRIES {
            look.after = page.last().map(|(key, _)| *key);
            return Ok(Left::More);
        }
        let found = std::mem::take(&mut look.found);
        self.look = None;
        for (at, reason) in found {
            let walk = Walk::new(at, reason, Said::Back);
            if !self.walks.contains(&walk) {
                info!(node = %at.node, disk = %at.disk, "shards are back, what was not rebuilt yet stays");
                self.walks.push_back(walk);
            }
        }
        Ok(if self.walks.is_empty() { Left::Nothing } else { Left::More })
    }
}

impl Duty for Ledger {
    const NAME: &'static str = "ledger";
    const LOOK_INTERVAL: Duration = Duration::from_secs(1);
    const ROUND_REST: Duration = Duration::from_millis(20);

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let Some(survey) = certain_survey(core) else { return Ok(Left::Nothing) };
        let held: Vec<DiskLocation> = core.records.view().disks()?.into_iter().map(|(at, _)| at).collect();
        let now = Instant::now();
        let gone = self.absences.gone(&survey, &held, now);
        let sound: BTreeSet<DiskLocation> = held.into_iter().filter(|at| survey.is_sound(*at)).collect();
        self.plan_walks(&gone, &survey, now);
        self.plan_look(&sound, now);
        if let Some(mut walk) = self.walks.pop_front() {
            if walk.go_on(core).await? == Left::More {
                // Behind the others: a large disk holds up no small one.
                self.walks.push_back(walk);
            } else if walk.said == Said::Gone {
                self.walked.insert(walk.at, now);
            }
            return Ok(Left::More);
        }
        self.look_on(core, &survey)
    }

    fn retire(&mut self) {
        self.absences.forget();
        self.walks.clear();
        self.walked.clear();
        self.look = None;
        self.looked = None;
    }

    fn hurried(&self) -> bool {
        switch::rare("background.ledger.hurry")
    }
}
