//! The tags of one repository, judged: by a pattern as they are read, or by retention all at once.

use std::sync::Arc;

use raft::catalog::{Digest, RepositoryName, StateError, Tag, View};
use raft::policy::{Age, Decision, Pattern, Policy, TagFacts, decide};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use storage::kv::Engine;
use tracing::warn;

/// Tags of one repository that retention takes on: their judgement is kept in memory, some hundred bytes each.
const TAGS_MAX: usize = 1_000_000;
/// Tags read at once.
const PAGE_TAGS: usize = 1024;

/// What is to become of a tag, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it goes.
    pub delete: bool,
    /// Why it goes, or stays.
    pub why: String,
}

/// A tag and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The tag.
    pub(crate) tag: Tag,
    /// What it points to.
    pub(crate) digest: Digest,
    /// When it was set.
    pub(crate) pushed: Timestamp,
    /// When its manifest was last pulled.
    pub(crate) pulled: Option<Timestamp>,
    /// What was decided.
    pub(crate) judgement: Judgement,
}

/// What was decided about a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// By retention.
    Retention(Decision),
    /// It is not meant: the pattern does not match it.
    OtherName,
    /// It is not meant: it was set too short a time ago.
    TooYoung {
        /// Seconds since then.
        ago_seconds: u64,
    },
    /// It cannot be deleted.
    Immutable {
        /// By this pattern of the policy.
        pattern: Pattern,
    },
    /// It is meant.
    Meant {
        /// Seconds since it was set.
        ago_seconds: u64,
    },
}

impl Judged {
    /// Whether it goes.
    pub(crate) const fn is_deleted(&self) -> bool {
        match &self.judgement {
            Judgement::Retention(decision) => decision.deletes(),
            Judgement::Meant { .. } => true,
            _ => false,
        }
    }

    /// Whether the job speaks of it at all.
    pub(crate) const fn is_spoken_of(&self) -> bool {
        !matches!(self.judgement, Judgement::OtherName)
    }

    /// The same for people.
    pub(crate) fn verdict(&self) -> Verdict {
        let why = match &self.judgement {
            Judgement::Retention(decision) => decision.to_string(),
            Judgement::OtherName => "the pattern does not match it".to_owned(),
            Judgement::TooYoung { ago_seconds } => format!("set {} ago", Age(*ago_seconds)),
            Judgement::Immutable { pattern } => format!("immutable by {pattern:?}"),
            Judgement::Meant { ago_seconds } => format!("the pattern matches it, set {} ago", Age(*ago_seconds)),
        };
        Verdict { delete: self.is_deleted(), why }
    }
}

/// The judgement of a whole repository.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The repository.
    pub(crate) repository: RepositoryName,
    /// Its tags in order.
    tags: Vec<Judged>,
}

impl Plan {
    /// At most `limit` tags behind `after`, and the last of them if more follow.
    pub(super) fn behind(&self, after: Option<&Tag>, limit: usize) -> (Vec<Judged>, Option<Tag>) {
        let from = after.map_or(0, |after| self.tags.partition_point(|judged| judged.tag <= *after));
        let rest = &self.tags[from..];
        let page = &rest[..rest.len().min(limit)];
        let more = page.last().filter(|_| page.len() < rest.len());
        (page.to_vec(), more.map(|last| last.tag.clone()))
    }

    /// What is to become of a tag.
    pub(crate) fn of(&self, tag: &Tag) -> Option<&Judged> {
        let place = self.tags.binary_search_by(|judged| judged.tag.cmp(tag)).ok()?;
        self.tags.get(place)
    }
}

/// Judges a repository by the retention that holds for it. `None` if none does, or one of a longer prefix than `reach`,
/// which has runs of its own.
pub(crate) fn by_retention(
    view: &View<Arc<dyn Engine>>,
    repository: &RepositoryName,
    reach: usize,
) -> Result<Option<Plan>, StateError> {
    let (policy, sources) = view.policy(repository)?;
    let Some(retention) = &policy.retention else { return Ok(None) };
    if sources.retention.is_some_and(|source| source.len() > reach) {
        return Ok(None);
    }
    let tags = view.repository(repository)?.map_or(0, |record| record.tags);
    if tags > TAGS_MAX as u64 {
        warn!(%repository, tags, "retention leaves the repository alone: it has more than {TAGS_MAX} tags");
        return Ok(None);
    }
    let now = view.clock()?;
    let facts = facts_of(view, repository, &policy)?;
    // A manifest of which nothing can be read counts as one that exists: its attachments stay.
    let exists = |digest: &Digest| view.manifest(repository, digest).map_or(true, |record| record.is_some());
    let decisions = decide(retention, &facts, now, exists);
    let tags = facts.into_iter().zip(decisions).map(|(facts, decision)| Judged {
        tag: facts.tag,
        digest: facts.digest,
        pushed: facts.pushed,
        pulled: facts.pulled,
        judgement: Judgement::Retention(decision),
    });
    Ok(Some(Plan { repository: repository.clone(), tags: tags.collect() }))
}

/// What retention has to know of all tags of a repository.
fn facts_of(
    view: &View<Arc<dyn Engine>>,
    repository: &RepositoryName,
    policy: &Policy,
) -> Result<Vec<TagFacts>, StateError> {
    let mut facts: Vec<TagFacts> = Vec::new();
    loop {
        let after = facts.last().map(|last| last.tag.clone());
        let page = view.tag_facts(repository, policy, None, after.as_ref(), PAGE_TAGS)?;
        let end = page.len() < PAGE_TAGS;
        facts.extend(page);
        if end {
            return Ok(facts);
        }
    }
}

/// Judges some tags of a repository by their names, and names the last of them if more follow.
pub(super) fn by_pattern(
    view: &View<Arc<dyn Engine>>,
    repository: &RepositoryName,
    (pattern, older_than_seconds): (&Pattern, Option<u64>),
    principal: Option<&str>,
    (after, limit): (Option<&Tag>, usize),
) -> Result<(Vec<Judged>, Option<Tag>), StateError> {
    let (policy, _) = view.policy(repository)?;
    let now = view.clock()?;
    let facts = view.tag_facts(repository, &policy, principal, after, limit)?;
    let more = facts.last().filter(|_| facts.len() == limit).map(|last| last.tag.clone());
    let judged = facts.into_iter().map(|facts| {
        let ago_seconds = now.0.saturating_sub(facts.pushed.0) / 1000;
        let judgement = match facts.immutable {
            _ if !pattern.matches(facts.tag.as_str()) => Judgement::OtherName,
            _ if older_than_seconds.is_some_and(|older| ago_seconds <= older) => Judgement::TooYoung { ago_seconds },
            Some(pattern) => Judgement::Immutable { pattern },
            None => Judgement::Meant { ago_seconds },
        };
        Judged { tag: facts.tag, digest: facts.digest, pushed: facts.pushed, pulled: facts.pulled, judgement }
    });
    Ok((judged.collect(), more))
}
