//! What of a namespace is to be copied here: read off its place.

use raft::catalog::{DebtItem, ReplicationScope, RepositoryName, StateError, Tag, View};
use raft::directory::REPLICATION_PRIORITY_MAX;
use raft::id::RegionId;
use raft::machine::State;
use raft::policy::covers;

use super::{FeedQuestion, SurveyCursor, SurveyQuestion};
use crate::regions::{Region, Scope};

/// A namespace that moves here goes before every other one: its writes are refused until the copy has caught up.
const PRIORITY_MOVING: u8 = REPLICATION_PRIORITY_MAX + 1;

/// A scope as it is to be copied: a prefix without the longer ones that say something themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The prefix, empty for the root.
    pub(crate) prefix: String,
    /// Region that is copied from.
    pub(crate) source: Region,
    /// The shortest longer prefixes that do not belong to it.
    pub(crate) except: Vec<String>,
    /// What is copied, and what a survey does about what the source has no more.
    pub(crate) scope: ReplicationScope,
    /// Whether deletions of which the feed tells are followed.
    pub(crate) follows_deletes: bool,
    /// Whether no former home is left that may have had what the source has not, and no takeover of the directory waits to
    /// be looked at.
    pub(crate) settled: bool,
    /// Who goes first where several wait: a higher one does.
    pub(crate) priority: u8,
}

impl Wanted {
    /// What a region is to copy of a scope.
    ///
    /// While a former home has not been settled, or removals are held since the directory was taken over, copies may have
    /// what the present home has lost: a survey leaves that alone, and only what is deleted from now on goes.
    pub(crate) fn of(scope: Scope, own: RegionId) -> Self {
        let Scope { prefix, source, place, except, removals_held } = scope;
        let (replication, bounds) = (&place.replication, bounds(&except));
        if place.moving.is_some_and(|moving| moving.to == own) {
            let scope = ReplicationScope { tags: Vec::new(), deletes: true, exact: true, bounds };
            let (settled, priority) = (place.aside.is_empty(), PRIORITY_MOVING);
            return Self { prefix, source, except, scope, follows_deletes: true, settled, priority };
        }
        let settled = place.aside.is_empty() && !removals_held;
        let deletes = replication.deletes && settled;
        let scope = ReplicationScope { tags: replication.tags.clone(), deletes, exact: false, bounds };
        let (follows_deletes, priority) = (replication.deletes, replication.priority);
        Self { prefix, source, except, scope, follows_deletes, settled, priority }
    }

    /// The same where something may be here that was no copy when this region became a replica: until the first time that
    /// all is here, it goes if the source does not have it, whether deletions are followed or not.
    pub(crate) fn clearing<S: State>(mut self, view: &View<S>) -> Result<Self, StateError> {
        if self.settled && view.has_leftovers(&self.prefix)? {
            self.scope.deletes = true;
            self.follows_deletes = true;
        }
        Ok(self)
    }

    /// Where it stands in the catalog and in memory.
    pub(crate) fn key(&self) -> (RegionId, String) {
        (self.source.id, self.prefix.clone())
    }

    /// Asks what has happened from an event on.
    pub(crate) fn feed(&self, policy_version: u64, cursor: u64, limit: usize) -> FeedQuestion {
        let (prefix, except) = (self.prefix.clone(), self.except.clone());
        let (blobs, limit) = (self.scope.exact, u32::try_from(limit).unwrap_or(u32::MAX));
        FeedQuestion { prefix, except, policy_version, blobs, cursor, limit }
    }

    /// Asks what there is, from a place on.
    pub(crate) fn survey(&self, policy_version: u64, after: Option<SurveyCursor>, limit: u32) -> SurveyQuestion {
        let (prefix, except) = (self.prefix.clone(), self.except.clone());
        SurveyQuestion { prefix, except, policy_version, blobs: self.scope.exact, after, limit }
    }

    /// Whether a repository belongs to it.
    pub(crate) fn holds(&self, repository: &RepositoryName) -> bool {
        covers(&self.prefix, repository) && !self.except.iter().any(|except| covers(except, repository))
    }

    /// Whether a tag is copied.
    pub(crate) fn takes_tag(&self, tag: &Tag) -> bool {
        self.takes_everything() || self.scope.tags.iter().any(|pattern| pattern.matches(tag.as_str()))
    }

    /// Whether all tags are copied, and manifests without one too.
    pub(crate) fn takes_everything(&self) -> bool {
        self.scope.tags.is_empty()
    }

    /// Whether what has happened at the source is of any matter here.
    pub(crate) fn takes(&self, item: &DebtItem) -> bool {
        match item {
            DebtItem::Tag { tag, .. } => self.takes_tag(tag),
            DebtItem::Manifest { .. } => self.takes_everything(),
            // A blob that no manifest uses comes only where it was promised to be kept: at the home.
            DebtItem::Blob { .. } => self.scope.exact,
            DebtItem::TagGone { tag } => self.follows_deletes && self.takes_tag(tag),
            DebtItem::ManifestGone { .. } => self.follows_deletes,
        }
    }

    /// Whether a debt that was taken in is of any matter. A manifest may be one that a copied index lists.
    pub(crate) fn owes(&self, item: &DebtItem) -> bool {
        matches!(item, DebtItem::Manifest { .. }) || self.takes(item)
    }

    /// Whether a survey enlists what is here and not at the source.
    pub(crate) fn clears(&self) -> bool {
        self.scope.deletes || self.scope.exact
    }
}

/// Fingerprint of the prefixes that do not belong to a scope, which come in order.
pub(crate) fn bounds(except: &[String]) -> u64 {
    let mut hash = blake3::Hasher::new();
    for prefix in except {
        hash.update(prefix.as_bytes());
        hash.update(b"\n");
    }
    let mut bounds = [0; 8];
    hash.finalize_xof().fill(&mut bounds);
    u64::from_le_bytes(bounds)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use raft::directory::{Aside, Elsewhere, Moving, Place, PlaceSources, Replication, Residency};
    use raft::time::Timestamp;

    use super::*;
    use crate::registry::compute;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);

    fn wanted(replication: Replication, moving: Option<Moving>, aside: Vec<Aside>) -> Wanted {
        wanted_while(false, replication, moving, aside)
    }

    fn wanted_while(
        removals_held: bool,
        replication: Replication,
        moving: Option<Moving>,
        aside: Vec<Aside>,
    ) -> Wanted {
        let place = Place {
            home: EU,
            residency: Residency::Replicated(vec![US]),
            elsewhere: Elsewhere::Proxy,
            replication,
            moving,
            aside,
            sources: PlaceSources::default(),
        };
        let source = Region { id: EU, name: "eu".to_owned(), public_url: None };
        let (prefix, except) = ("acme".to_owned(), vec!["acme/own".to_owned()]);
        Wanted::of(Scope { prefix, source, place: Arc::new(place), except, removals_held }, US)
    }

    #[test]
    fn a_scope_ends_where_a_longer_prefix_says_something() {
        let wanted = wanted(Replication::default(), None, Vec::new());
        let holds = |name: &str| wanted.holds(&name.parse().unwrap());
        assert!(holds("acme") && holds("acme/app") && holds("acme/owner"));
        assert!(!holds("acme/own") && !holds("acme/own/x") && !holds("acmex") && !holds("other"));
    }

    #[test]
    fn other_bounds_make_another_scope() {
        let prefixes = |all: &[&str]| all.iter().map(|prefix| (*prefix).to_owned()).collect::<Vec<_>>();
        let all = [&["a", "b"][..], &["a"], &["ab"], &[]].map(|all| bounds(&prefixes(all)));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(all[0], bounds(&prefixes(&["a", "b"])));
    }

    #[test]
    fn patterns_leave_other_tags_and_untagged_manifests_out() {
        let digest = compute(raft::catalog::Algorithm::Sha256, b"x");
        let tag = |text: &str| DebtItem::Tag { tag: text.parse().unwrap(), digest };
        let gone = |text: &str| DebtItem::TagGone { tag: text.parse().unwrap() };
        let some = Replication { tags: vec!["v*".parse().unwrap()], ..Replication::default() };
        let filtered = wanted(some.clone(), None, Vec::new());
        assert!(filtered.takes(&tag("v1")) && !filtered.takes(&tag("latest")));
        assert!(!filtered.takes(&DebtItem::Manifest { digest }) && !filtered.takes(&gone("v1")));
        let all = wanted(Replication::default(), None, Vec::new());
        assert!(all.takes(&tag("latest")) && all.takes(&DebtItem::Manifest { digest }));
        assert!(!all.takes(&DebtItem::ManifestGone { digest }), "deletions are not followed unless it is said");
        let deletes = wanted(Replication { deletes: true, ..some }, None, Vec::new());
        assert!(deletes.takes(&gone("v1")) && !deletes.takes(&gone("latest")));
        assert!(deletes.takes(&DebtItem::ManifestGone { digest }));
    }

    #[test]
    fn who_becomes_the_home_gets_everything_whether_writes_have_ended_or_not() {
        let some = Replication { tags: vec!["v*".parse().unwrap()], ..Replication::default() };
        let moving = |fenced| wanted(some.clone(), Some(Moving { to: US, fenced }), Vec::new());
        assert_eq!(moving(false), moving(true), "the fence changes nothing that is copied");
        assert!(moving(false).scope.exact && moving(false).takes_everything() && moving(false).clears());
        assert!(moving(false).priority > wanted(some.clone(), None, Vec::new()).priority);
        let elsewhere = wanted(some.clone(), Some(Moving { to: RegionId(3), fenced: true }), Vec::new());
        assert_eq!(elsewhere, wanted(some, None, Vec::new()));
    }

    #[test]
    fn what_a_lost_home_may_have_had_alone_is_not_cleared_away() {
        let deletes = Replication { deletes: true, ..Replication::default() };
        let aside = Aside { region: RegionId(3), since: Timestamp(1) };
        let careful = wanted(deletes.clone(), None, vec![aside]);
        assert!(!careful.clears() && careful.follows_deletes);
        let taken_over = wanted_while(true, deletes.clone(), None, Vec::new());
        assert!(!taken_over.clears() && taken_over.follows_deletes && !taken_over.settled);
        assert!(wanted(deletes, None, Vec::new()).clears());
    }
}
