//! Whether all that moves has arrived: both ends are asked, and judged together.
//!
//! The old home is asked first. If its catalog has taken up the version that fences it by then, nothing that is asked after
//! that changes any more. Nothing has to be copied where both ends are empty.

use std::time::Duration;

use futures_util::StreamExt as _;
use raft::directory::Place;
use raft::id::RegionId;
use raft::policy::is_prefix;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::error;

use super::namespace::check_prefix;
use super::{Deletion, DeletionError};
use crate::admin::{Counts, HeldAnswer, HeldRequest, MoveProgress, VERSION};
use crate::regions::Family;
use crate::replication::{CaughtUp, CaughtUpQuestion, Stage, caught_up};

/// How long another region's answer is waited for; it waits itself until its catalog has taken the change up.
const ANSWER: Duration = Duration::from_secs(14);
/// The same while a move is driven, which asks again.
const MOVING_ANSWER: Duration = Duration::from_secs(5);
/// Scopes asked about at one time.
const ASKED: usize = 8;
/// Events and debts that arrive within seconds: writes may end while so many are on their way.
const NEARLY: u64 = 200;

/// What a region holds below a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whether its catalog has taken up the version of the policies that was asked about: only then the rest is final.
    pub in_force: bool,
    /// Repositories, those included of which only the blobs of a push under way are there, or of a deleted image whose
    /// grace is not over.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Manifests, once per repository.
    pub manifests: u64,
}

impl Held {
    /// Its content.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        Counts { tags: self.tags, manifests: self.manifests }
    }
}

/// How far the content of a namespace has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Whether all is there that was at the old home when the version that was asked about was in force there.
    pub(super) complete: bool,
    /// Whether so little is missing that it arrives within seconds.
    pub(super) nearly: bool,
    /// How far it is. Names and stage are filled in by who tells of it.
    pub(super) progress: MoveProgress,
}

impl Arrival {
    /// Nothing is known, for this reason.
    fn unknown(waits_for: String) -> Self {
        Self { progress: MoveProgress { waits_for: Some(waits_for), ..MoveProgress::default() }, ..Self::default() }
    }
}

/// What the ends say: the old home first, then the copy of each scope, then what the new one holds.
fn judge(old: Held, copies: &[CaughtUp], new: Held) -> Arrival {
    let empty = old.repositories == 0 && new.repositories == 0;
    let (scopes, count) = (copies.len() as u64, |of: fn(&CaughtUp) -> u64| copies.iter().map(of).sum::<u64>());
    let arrived = |copy: &CaughtUp| copy.in_sync && copy.exact;
    let missing = |copy: &CaughtUp| copy.behind_events.saturating_add(copy.debts);
    let close = |copy: &CaughtUp| copy.exact && copy.stage == Stage::Following && missing(copy) <= NEARLY;
    let all = !copies.is_empty() && copies.iter().all(arrived);
    let waits_for = match copies.iter().find(|copy| !arrived(copy) && copy.failing > 0) {
        _ if !old.in_force => {
            Some("the catalog of the old home has not taken the change up yet: somebody may still push".to_owned())
        }
        Some(failing) => failing.errors.first().map(|error| format!("{}: {}", error.repository, error.error)),
        None if all && old.counts() != new.counts() => Some(format!(
            "{} tags and {} manifests are at the old home, {} and {} at the new one",
            old.tags, old.manifests, new.tags, new.manifests
        )),
        None => copies.iter().find_map(|copy| copy.waits_for.clone()),
    };
    Arrival {
        complete: old.in_force && (empty || (all && old.counts() == new.counts())),
        nearly: empty || (!copies.is_empty() && copies.iter().all(close)),
        progress: MoveProgress {
            scopes,
            complete: copies.iter().filter(|copy| arrived(copy)).count() as u64,
            behind: copies.iter().map(|copy| copy.behind_events).max(),
            debts: count(|copy| copy.debts),
            arrived_items: count(|copy| copy.arrived_items),
            arrived_bytes: count(|copy| copy.arrived_bytes),
            waits_for,
            ..MoveProgress::default()
        },
    }
}

impl Deletion {
    /// Whether all that is below a prefix has come to its new home. An end that does not answer is what it waits for.
    pub(super) async fn arrival(
        &self,
        prefix: &str,
        place: &Place,
        to: RegionId,
        version: u64,
    ) -> Result<Arrival, DeletionError> {
        let Some(family) = self.family(prefix, version).await else {
            return Ok(Arrival::unknown("this node has not taken the directory's last change up yet".to_owned()));
        };
        self.refuse_family(&family, to)?;
        let except = self.staying(prefix)?;
        let held = HeldRequest { prefix: prefix.to_owned(), policy_version: version, except };
        match self.ends(&family, place.home, to, &held).await {
            Ok((old, copies, new)) => {
                let arrival = judge(old, &copies, new);
                let differ = old.in_force && !arrival.complete && copies.iter().all(|copy| copy.in_sync && copy.exact);
                if differ && place.moving.is_some_and(|moving| moving.fenced) {
                    error!(namespace = prefix, ?old, ?new, "a copy that is in sync holds something else than the home");
                }
                Ok(arrival)
            }
            Err(DeletionError::Unavailable(waits_for)) => Ok(Arrival::unknown(waits_for)),
            Err(error) => Err(error),
        }
    }

    async fn ends(
        &self,
        family: &Family,
        from: RegionId,
        to: RegionId,
        held: &HeldRequest,
    ) -> Result<(Held, Vec<CaughtUp>, Held), DeletionError> {
        let old = self.held_soon(from, held.clone()).await?;
        if old.repositories == 0 {
            let new = self.held_by_next(to, held).await?;
            if new.repositories == 0 {
                return Ok((old, Vec::new(), new));
            }
        }
        let ask = |prefix: String| {
            let question = CaughtUpQuestion { prefix, source: from, policy_version: held.policy_version };
            async move { self.caught_up_in(to, question).await }
        };
        let prefixes: Vec<String> = family.members.iter().map(|member| member.prefix.clone()).collect();
        let mut copies = Vec::with_capacity(prefixes.len());
        let mut asked = futures_util::stream::iter(prefixes.into_iter().map(ask)).buffered(ASKED);
        while let Some(copy) = asked.next().await {
            copies.push(copy?);
        }
        let new = self.held_by_next(to, held).await?;
        Ok((old, copies, new))
    }

    /// What the next home holds. One without a node, whose catalog is not founded yet, holds nothing.
    async fn held_by_next(&self, to: RegionId, held: &HeldRequest) -> Result<Held, DeletionError> {
        if self.directory.view().region(to)?.is_some_and(|region| region.founder.is_none()) {
            return Ok(Held::default());
        }
        self.held_soon(to, HeldRequest { policy_version: 0, ..held.clone() }).await
    }

    /// How far a region's copy of a scope is.
    async fn caught_up_in(&self, region: RegionId, question: CaughtUpQuestion) -> Result<CaughtUp, DeletionError> {
        if region != self.regions.own() {
            return self.ask(region, "/replication/caught-up", &question, MOVING_ANSWER).await;
        }
        let caught_up = caught_up(&self.core, &self.regions, &question).await;
        caught_up.map_err(|error| DeletionError::Unavailable(error.to_string()))
    }

    /// What a region holds below a prefix, if it answers soon.
    async fn held_soon(&self, region: RegionId, request: HeldRequest) -> Result<Held, DeletionError> {
        let late = || {
            let name = self.region_name(region);
            DeletionError::Unavailable(format!(
                "region {name} does not answer, or has not taken the last change up yet"
            ))
        };
        timeout(MOVING_ANSWER, self.held_in(region, request)).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// What a region holds below a prefix, asked there.
    pub(super) async fn held_in(&self, region: RegionId, request: HeldRequest) -> Result<Held, DeletionError> {
        if region == self.regions.own() {
            return self.held(&request.prefix, &request.except, request.policy_version).await;
        }
        let answer: HeldAnswer = self.ask(region, "/namespace/held", &request, ANSWER).await?;
        Ok(answer.held)
    }

    /// What this region holds below a prefix but not below some longer ones, once a version of the policies is in force.
    pub async fn held(&self, prefix: &str, except: &[String], version: u64) -> Result<Held, DeletionError> {
        check_prefix(prefix)?;
        if let Some(malformed) = except.iter().find(|except| !is_prefix(except)) {
            return Err(DeletionError::Invalid(format!("{malformed:?} is not a namespace")));
        }
        let in_force = self.wait_in_force(version).await?;
        let (prefix, except) = (prefix.to_owned(), except.to_vec());
        self.read(move |view| {
            let all = view.usage(&prefix)?;
            let (mut repositories, mut tags, mut manifests) = (all.repositories, all.tags, all.manifests);
            for except in &except {
                let other = view.usage(except)?;
                repositories = repositories.saturating_sub(other.repositories);
                tags = tags.saturating_sub(other.tags);
                manifests = manifests.saturating_sub(other.manifests);
            }
            Ok(Held { in_force, repositories, tags, manifests })
        })
        .await
    }
}

impl From<Held> for HeldAnswer {
    fn from(held: Held) -> Self {
        Self { version: VERSION, held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Held = Held { in_force: true, repositories: 2, tags: 5, manifests: 7 };
    const EMPTY: Held = Held { in_force: true, repositories: 0, tags: 0, manifests: 0 };

    fn in_sync() -> CaughtUp {
        CaughtUp { in_sync: true, exact: true, stage: Stage::Following, ..CaughtUp::default() }
    }

    #[test]
    fn all_is_there_once_every_scope_is_and_both_ends_hold_as_much() {
        let arrival = judge(FULL, &[in_sync(), in_sync()], FULL);
        assert!(arrival.complete && arrival.nearly && arrival.progress.waits_for.is_none());
        assert_eq!((arrival.progress.scopes, arrival.progress.complete), (2, 2));
        let late = CaughtUp { in_sync: false, debts: 1, ..in_sync() };
        let arrival = judge(FULL, &[in_sync(), late], FULL);
        assert!(!arrival.complete && arrival.nearly, "it is on its way");
        assert_eq!((arrival.progress.complete, arrival.progress.debts), (1, 1));
    }

    #[test]
    fn a_copy_that_is_not_exact_never_becomes_the_home() {
        let inexact = CaughtUp { exact: false, ..in_sync() };
        let arrival = judge(FULL, &[inexact], FULL);
        assert!(!arrival.complete && !arrival.nearly);
    }

    #[test]
    fn ends_that_hold_something_else_are_not_taken_for_the_same() {
        for new in [Held { tags: 4, ..FULL }, Held { manifests: 8, ..FULL }, EMPTY] {
            let arrival = judge(FULL, &[in_sync()], new);
            assert!(!arrival.complete, "{new:?}");
            assert!(arrival.progress.waits_for.unwrap().starts_with("5 tags and 7 manifests are at the old home"));
        }
    }

    #[test]
    fn what_was_not_fenced_is_not_complete() {
        let arrival = judge(Held { in_force: false, ..FULL }, &[in_sync()], FULL);
        assert!(!arrival.complete && arrival.progress.waits_for.unwrap().contains("somebody may still push"));
        assert!(!judge(Held { in_force: false, ..EMPTY }, &[], EMPTY).complete);
    }

    #[test]
    fn nothing_is_copied_between_empty_ends() {
        let arrival = judge(EMPTY, &[], EMPTY);
        assert!(arrival.complete && arrival.nearly);
        let left = Held { tags: 1, ..EMPTY };
        let arrival = judge(EMPTY, &[CaughtUp::default()], Held { repositories: 1, ..left });
        assert!(!arrival.complete && !arrival.nearly, "what is left at the new home of an earlier time goes first");
    }

    #[test]
    fn writes_do_not_end_while_much_is_missing() {
        let far = CaughtUp { in_sync: false, behind_events: 100, debts: 101, ..in_sync() };
        assert!(!judge(FULL, std::slice::from_ref(&far), FULL).nearly);
        assert!(judge(FULL, &[CaughtUp { debts: 100, ..far.clone() }], FULL).nearly);
        assert!(!judge(FULL, &[CaughtUp { stage: Stage::Surveying, ..far }], FULL).nearly);
    }
}
