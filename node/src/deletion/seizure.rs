//! A region becomes the home though the present one cannot be asked: what would be lost is told first, and confirmed.
//!
//! What is known is the next home's own catalog's: how far it has read the home's feed, and which of the changes that it
//! read of have not arrived. What the home has acknowledged since it was last heard of, nobody knows; should it come back,
//! it keeps that aside (`aside`).

use std::time::Duration;

use raft::catalog::{DebtItem, DebtRecord, ReplicationRecord, ReplicationStage};
use raft::directory::{Command, Place};
use raft::id::RegionId;
use raft::policy::Role;
use tracing::warn;

use super::family::written;
use super::home::not_of_now;
use super::namespace::check_prefix;
use super::place::not_founded;
use super::{Applied, Deletion, DeletionError};
use crate::admin::{
    BehindAnswer, BehindRequest, CopyStanding, Counts, ForceLookAnswer, ForceLookRequest, ForceRequest, HeldAnswer,
    HeldRequest, MissingChange, MissingCursor, VERSION,
};
use crate::regions::{Family, Member};
use crate::replication::bounds;

/// How long the home is waited for before it counts as one that does not answer.
const HOME: Duration = Duration::from_secs(4);
/// How long the next home is waited for.
const NEXT_HOME: Duration = Duration::from_secs(8);
/// Missing changes in one page.
const PAGE: u64 = 500;
/// Scopes of which a page tells what is missing: each is a question to another region.
const PAGE_SCOPES: usize = 16;

/// A home that is to be forced, as the directory has it.
struct Forced {
    to: RegionId,
    place: Place,
    version: u64,
    family: Family,
}

impl Deletion {
    /// What would be lost if a region became the home without the present one, a page of it.
    pub async fn look_before_force(&self, request: &ForceLookRequest) -> Result<ForceLookAnswer, DeletionError> {
        let ForceLookRequest { prefix, to, after } = request;
        let forced = self.forced(prefix, to).await?;
        let home_answers = self.answers(forced.place.home).await;
        let mut copies = Vec::new();
        if after.is_none() {
            for member in &forced.family.members {
                copies.push(self.standing(&forced, member, None, 0).await?.standing);
            }
        }
        let (missing, next) = self.missing(&forced, after.clone()).await?;
        Ok(ForceLookAnswer {
            version: VERSION,
            prefix: prefix.clone(),
            home: self.region_name(forced.place.home),
            to: to.clone(),
            policy_version: forced.version,
            home_answers,
            copies,
            missing,
            next,
        })
    }

    /// Makes a region the home without the present one, whose content stays aside from then on.
    pub async fn force_home(&self, request: &ForceRequest) -> Result<Applied, DeletionError> {
        let ForceRequest { prefix, to, policy_version, without_copy, although_it_answers } = request;
        let forced = self.forced(prefix, to).await?;
        if forced.version != *policy_version {
            return Err(not_of_now(*policy_version, forced.version));
        }
        let (home, at) = (self.region_name(forced.place.home), written(prefix));
        if !although_it_answers && self.answers(forced.place.home).await {
            return Err(DeletionError::Conflict(format!(
                "region {home}, the home of {at}, answers: without --force its content is moved and nothing is lost; if it \
                 has to be left behind all the same, say --although-it-answers"
            )));
        }
        if !without_copy {
            for member in &forced.family.members {
                let standing = self.standing(&forced, member, None, 0).await?.standing;
                if let Some(problem) = incomplete(&standing) {
                    return Err(DeletionError::Conflict(format!(
                        "region {to} {problem} of {}: what is not there cannot be had from it; choose a region with a \
                         copy, or, if it is to become the home all the same, say --without-copy",
                        written(&member.prefix)
                    )));
                }
            }
        }
        let (prefix, made_from) = (prefix.clone(), *policy_version);
        self.change(Command::ForceHome { prefix: prefix.clone(), to: forced.to, made_from }).await?;
        warn!(namespace = prefix, from = home, to = to, "its home was changed by force");
        self.applied(&prefix).await
    }

    async fn forced(&self, prefix: &str, to: &str) -> Result<Forced, DeletionError> {
        check_prefix(prefix)?;
        let to = self.region_named(to).await?;
        let view = self.directory.view();
        let version = view.policy_version()?;
        let place = view.place_at(prefix)?.ok_or_else(not_founded)?;
        if place.home == to {
            let name = self.region_name(to);
            return Err(DeletionError::Invalid(format!("region {name} is the home of {} already", written(prefix))));
        }
        let behind = || DeletionError::Unavailable("namespaces are changing at this moment: try again".to_owned());
        let family = self.family(prefix, version).await.ok_or_else(behind)?;
        Ok(Forced { to, place, version, family })
    }

    /// Whether a region's catalog answers.
    async fn answers(&self, region: RegionId) -> bool {
        if region == self.regions.own() {
            return self.core.records.barrier().await.is_ok();
        }
        let request = HeldRequest { prefix: String::new(), policy_version: 0, except: Vec::new() };
        self.ask::<HeldAnswer>(region, "/namespace/held", &request, HOME).await.is_ok()
    }

    /// How far the copy of a scope has come, and what is missing of it.
    async fn standing(
        &self,
        forced: &Forced,
        member: &Member,
        after: Option<u64>,
        limit: u64,
    ) -> Result<BehindAnswer, DeletionError> {
        let (source, prefix, except) = (forced.place.home.0, member.prefix.clone(), member.except.clone());
        let request = BehindRequest { source, prefix, except, after, limit };
        let mut answer = if forced.to == self.regions.own() {
            self.behind(request).await?
        } else {
            self.ask(forced.to, "/namespace/behind", &request, NEXT_HOME).await?
        };
        // A record of former times tells nothing of a namespace that is not copied there any more.
        answer.standing.exists &= member.place.role(forced.to) == Role::Replica;
        Ok(answer)
    }

    /// A page of what is missing.
    async fn missing(
        &self,
        forced: &Forced,
        after: Option<MissingCursor>,
    ) -> Result<(Vec<MissingChange>, Option<MissingCursor>), DeletionError> {
        let members = &forced.family.members;
        let begin = after.as_ref().map_or(0, |after| {
            members.iter().position(|member| member.prefix == after.prefix).unwrap_or(members.len())
        });
        let mut number = after.and_then(|after| after.number);
        let mut missing = Vec::new();
        for (asked, member) in members.iter().skip(begin).enumerate() {
            let full = missing.len() as u64 >= PAGE || asked >= PAGE_SCOPES;
            if full {
                return Ok((missing, Some(MissingCursor { prefix: member.prefix.clone(), number: None })));
            }
            let limit = PAGE - missing.len() as u64;
            let answer = self.standing(forced, member, number.take(), limit).await?;
            missing.extend(answer.missing);
            if let Some(number) = answer.next {
                return Ok((missing, Some(MissingCursor { prefix: member.prefix.clone(), number: Some(number) })));
            }
        }
        Ok((missing, None))
    }

    /// How far this region's copy of a scope has come, and a page of what is missing.
    pub async fn behind(&self, request: BehindRequest) -> Result<BehindAnswer, DeletionError> {
        let BehindRequest { source, prefix, except, after, limit } = request;
        check_prefix(&prefix)?;
        let held = self.held(&prefix, &except, 0).await?.counts();
        let (source, limit) = (RegionId(source), usize::try_from(limit.min(PAGE)).unwrap_or(0));
        self.read(move |view| {
            let record = view.replication(source, &prefix)?;
            let debts = if limit == 0 { Vec::new() } else { view.debts(source, &prefix, after, limit)? };
            let next = debts.last().filter(|_| debts.len() == limit).map(|(number, _)| *number);
            let missing = debts.into_iter().map(|(_, debt)| missing_change(debt)).collect();
            let standing = standing(prefix, record.as_ref(), bounds(&except), held);
            Ok(BehindAnswer { version: VERSION, standing, missing, next })
        })
        .await
    }
}

/// What there is to say of a copy. One that was compared within other bounds than those of now may lack all that has come
/// to belong to it since: it counts as not compared, and what is known of its time is not of all of it.
fn standing(prefix: String, record: Option<&ReplicationRecord>, bounds: u64, held: Counts) -> CopyStanding {
    let bounded = |record: &ReplicationRecord| record.scope.bounds == bounds;
    let surveyed = |record: &ReplicationRecord| record.stage == ReplicationStage::Following && bounded(record);
    CopyStanding {
        prefix,
        exists: record.is_some(),
        everything: record.is_some_and(|record| record.scope.tags.is_empty()),
        surveyed: record.is_some_and(surveyed),
        synced_milliseconds: record
            .filter(|record| bounded(record))
            .and_then(|record| record.synced)
            .map(|time| time.0),
        // While it is compared, nothing that was told since the last time it was whole is surely in the list of debts.
        heard_milliseconds: record
            .filter(|record| bounded(record))
            .and_then(|record| if surveyed(record) { Some(record.heard) } else { record.synced })
            .map(|time| time.0),
        debts: record.map_or(0, |record| record.debts),
        held,
    }
}

/// Why a copy is none of everything.
fn incomplete(standing: &CopyStanding) -> Option<&'static str> {
    match standing {
        CopyStanding { exists: false, .. } => Some("has no copy"),
        CopyStanding { everything: false, .. } => Some("has only a copy of some tags"),
        CopyStanding { surveyed: false, .. } => Some("has not compared all yet that there is"),
        _ => None,
    }
}

fn missing_change(debt: DebtRecord) -> MissingChange {
    let blob = matches!(debt.item, DebtItem::Blob { .. });
    let (tag, digest, deleted) = match debt.item {
        DebtItem::Tag { tag, digest } => (Some(tag), Some(digest), false),
        DebtItem::Manifest { digest } | DebtItem::Blob { digest } => (None, Some(digest), false),
        DebtItem::TagGone { tag } => (Some(tag), None, true),
        DebtItem::ManifestGone { digest } => (None, Some(digest), true),
    };
    MissingChange {
        repository: debt.repository,
        tag,
        digest: digest.map(|digest| digest.to_string()),
        blob,
        deleted,
        time_milliseconds: debt.time.0,
        error: debt.error,
    }
}

#[cfg(test)]
mod tests {
    use raft::catalog::ReplicationScope;
    use raft::time::Timestamp;

    use super::*;

    fn record(stage: ReplicationStage, tags: &[&str]) -> ReplicationRecord {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        ReplicationRecord {
            scope: ReplicationScope { tags, deletes: false, exact: false, bounds: 0 },
            stage,
            cursor: 9,
            heard: Timestamp(20),
            synced: Some(Timestamp(10)),
            round: 1,
            next_debt: 3,
            debts: 2,
            failing: 0,
            arrived_items: 0,
            arrived_bytes: 0,
        }
    }

    #[test]
    fn only_a_whole_copy_stands_in_for_the_home() {
        let of = |record: Option<&ReplicationRecord>| standing("acme".to_owned(), record, 0, Counts::default());
        let following = record(ReplicationStage::Following, &[]);
        let told = of(Some(&following));
        assert_eq!((told.synced_milliseconds, told.heard_milliseconds, told.debts), (Some(10), Some(20), 2));
        assert_eq!(incomplete(&told), None, "what it owes is listed");
        assert_eq!(incomplete(&of(None)), Some("has no copy"));
        let some = record(ReplicationStage::Following, &["v*"]);
        assert_eq!(incomplete(&of(Some(&some))), Some("has only a copy of some tags"));
        let surveying = record(ReplicationStage::Surveying { after: None }, &[]);
        let told = of(Some(&surveying));
        assert!(incomplete(&told).unwrap().contains("not compared all"));
        assert_eq!(told.heard_milliseconds, Some(10), "what was told since it was whole may be in no list");
    }

    #[test]
    fn a_copy_of_other_bounds_does_not_stand_in_for_the_home() {
        let following = record(ReplicationStage::Following, &[]);
        let now = bounds(&["acme/app".to_owned()]);
        let told = standing("acme".to_owned(), Some(&following), now, Counts::default());
        assert!(incomplete(&told).unwrap().contains("not compared all"), "nobody knows what came to belong to it");
        let times = (told.synced_milliseconds, told.heard_milliseconds);
        assert_eq!((told.exists, told.everything, times, told.debts), (true, true, (None, None), 2));
    }

    #[test]
    fn what_is_missing_is_told_as_it_was_done() {
        let digest: raft::catalog::Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let debt = |item| DebtRecord {
            repository: "acme/app".parse().unwrap(),
            item,
            time: Timestamp(7),
            length_bytes: 0,
            failures: 1,
            error: Some("503".to_owned()),
            not_before: Timestamp(0),
        };
        let tag: raft::catalog::Tag = "v1".parse().unwrap();
        let set = missing_change(debt(DebtItem::Tag { tag: tag.clone(), digest }));
        assert_eq!((set.tag.as_ref(), set.digest.is_some(), set.deleted), (Some(&tag), true, false));
        assert_eq!((set.time_milliseconds, set.error.as_deref()), (7, Some("503")));
        let gone = missing_change(debt(DebtItem::TagGone { tag }));
        assert_eq!((gone.digest, gone.deleted), (None, true));
        assert!(missing_change(debt(DebtItem::ManifestGone { digest })).deleted);
    }
}
