//! Which tags of a repository go by its retention, and why, in plain words.
//!
//! One pure function for the dry run and for the job that deletes. It sees all tags of a repository at once, since "the
//! last N" is a statement about all of them. What moves between its reading and the deletion, the catalog notices.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use super::age::Age;
use super::attachment::Attachment;
use super::namespace::{Retention, RetentionRule};
use super::pattern::Pattern;
use crate::catalog::{Digest, Tag};
use crate::time::Timestamp;

/// What is known of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFacts {
    /// The tag.
    pub tag: Tag,
    /// Manifest it points to.
    pub digest: Digest,
    /// When it was last set to another manifest than before.
    pub pushed: Timestamp,
    /// When its manifest was last pulled; `None` if never. Where a namespace has had another home nobody knows what was pulled
    /// there: it counts as pulled when this region became the home.
    pub pulled: Option<Timestamp>,
    /// Whether its manifest has a signature: a referrer that is one, or a tag of
    /// [`Attachment::signature_tag`](super::Attachment::signature_tag).
    pub signed: bool,
    /// Whether an index of the repository lists its manifest.
    pub referenced: bool,
    /// The pattern that makes it immutable for retention.
    pub immutable: Option<Pattern>,
}

/// What becomes of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It stays.
    Keep(WhyKept),
    /// It goes.
    Delete(WhyDeleted),
}

impl Decision {
    /// Whether the tag goes.
    #[must_use]
    pub const fn deletes(&self) -> bool {
        matches!(self, Self::Delete(_))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(why) => why.fmt(formatter),
            Self::Delete(why) => why.fmt(formatter),
        }
    }
}

/// Why a tag stays. `Display` says it to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyKept {
    /// It attaches something to a manifest that exists.
    Attached {
        /// The manifest.
        to: Digest,
    },
    /// It cannot be deleted.
    Immutable {
        /// By this pattern.
        pattern: Pattern,
    },
    /// It is always kept.
    Always {
        /// By this pattern.
        pattern: Pattern,
    },
    /// Its manifest is signed.
    Signed,
    /// An index lists its manifest.
    Referenced,
    /// No rule speaks of it.
    NoRule,
    /// It is one of the last ones.
    Last {
        /// Pattern of the rule.
        pattern: Pattern,
        /// Which one, from 1, the newest first.
        rank: u64,
        /// How many the rule keeps.
        keep_last: u32,
    },
    /// It was pushed lately.
    Pushed {
        /// Pattern of the rule.
        pattern: Pattern,
        /// Seconds since then.
        ago_seconds: u64,
        /// Within how many the rule keeps it.
        within_seconds: u64,
    },
    /// It was pulled lately, or pushed and not pulled since.
    Pulled {
        /// Pattern of the rule.
        pattern: Pattern,
        /// Seconds since then.
        ago_seconds: u64,
        /// Within how many the rule keeps it.
        within_seconds: u64,
    },
}

impl fmt::Display for WhyKept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached { to } => write!(formatter, "attached to {to}, which exists"),
            Self::Immutable { pattern } => write!(formatter, "immutable by {pattern:?}"),
            Self::Always { pattern } => write!(formatter, "always kept by {pattern:?}"),
            Self::Signed => formatter.write_str("its manifest is signed"),
            Self::Referenced => formatter.write_str("an index lists its manifest"),
            Self::NoRule => formatter.write_str("no rule speaks of it"),
            Self::Last { pattern, rank, keep_last } => {
                write!(formatter, "number {rank} of the last {keep_last} of {pattern:?}")
            }
            Self::Pushed { pattern, ago_seconds, within_seconds } => {
                let (ago, within) = (Age(*ago_seconds), Age(*within_seconds));
                write!(formatter, "pushed {ago} ago, {pattern:?} is kept for {within}")
            }
            Self::Pulled { pattern, ago_seconds, within_seconds } => {
                let (ago, within) = (Age(*ago_seconds), Age(*within_seconds));
                write!(formatter, "used {ago} ago, {pattern:?} is kept for {within} after a pull")
            }
        }
    }
}

/// Why a tag goes: rules speak of it, and none keeps it. `Display` says it to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyDeleted {
    /// The patterns of the rules.
    pub patterns: Vec<Pattern>,
    /// Which one it is of the tags of the first of them, from 1, the newest first.
    pub rank: u64,
    /// Seconds since it was pushed.
    pub pushed_ago_seconds: u64,
    /// Seconds since it was pulled; `None` if never.
    pub pulled_ago_seconds: Option<u64>,
}

impl fmt::Display for WhyDeleted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not kept by ")?;
        for (index, pattern) in self.patterns.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{pattern:?}")?;
        }
        write!(formatter, ": number {} of its kind, pushed {} ago, ", self.rank, Age(self.pushed_ago_seconds))?;
        match self.pulled_ago_seconds {
            Some(seconds) => write!(formatter, "last pulled {} ago", Age(seconds)),
            None => formatter.write_str("never pulled"),
        }
    }
}

/// Decides about all tags of a repository, in their order. `exists` says whether the repository has a manifest.
///
/// A tag that attaches something to a manifest stays as long as that exists. Afterwards the rules decide about it like
/// about any other, but it is counted among its like: a signature takes no place among the last images. It does not go
/// without a rule, since tools can keep signatures in a repository of their own, where the manifest never was.
pub fn decide(
    retention: &Retention,
    tags: &[TagFacts],
    now: Timestamp,
    exists: impl Fn(&Digest) -> bool,
) -> Vec<Decision> {
    let attached: Vec<Option<Digest>> =
        tags.iter().map(|facts| Attachment::of(&facts.tag).map(|attachment| attachment.to)).collect();
    let ranks = ranks(retention, tags, &attached);
    let one = |(index, facts): (usize, &TagFacts)| {
        if let Some(why) = protected(retention, facts) {
            return Decision::Keep(why);
        }
        if let Some(to) = attached[index].filter(|to| exists(to)) {
            return Decision::Keep(WhyKept::Attached { to });
        }
        by_rules(retention, facts, now, &ranks[index])
    };
    tags.iter().enumerate().map(one).collect()
}

/// For each tag, its rank among the tags of each rule that speaks of it, by the number of the rule. Tags that attach
/// something are counted apart.
fn ranks(retention: &Retention, tags: &[TagFacts], attached: &[Option<Digest>]) -> Vec<BTreeMap<usize, u64>> {
    let mut newest: Vec<usize> = (0..tags.len()).collect();
    // Two tags of one moment are ordered by name, so that every reading decides alike.
    newest.sort_by_key(|index| (Reverse(tags[*index].pushed), Reverse(&tags[*index].tag)));
    let (attaching, plain): (Vec<usize>, Vec<usize>) = newest.into_iter().partition(|index| attached[*index].is_some());
    let mut ranks = vec![BTreeMap::new(); tags.len()];
    for (number, rule) in retention.rules.iter().enumerate() {
        for group in [&plain, &attaching] {
            let matching = group.iter().filter(|index| rule.tags.matches(tags[**index].tag.as_str()));
            for (index, rank) in matching.zip(1..) {
                ranks[*index].insert(number, rank);
            }
        }
    }
    ranks
}

/// What keeps a tag whatever the rules say.
fn protected(retention: &Retention, facts: &TagFacts) -> Option<WhyKept> {
    if let Some(pattern) = &facts.immutable {
        return Some(WhyKept::Immutable { pattern: pattern.clone() });
    }
    let always = retention.always_keep.iter().find(|pattern| pattern.matches(facts.tag.as_str()));
    if let Some(pattern) = always {
        return Some(WhyKept::Always { pattern: pattern.clone() });
    }
    if retention.keep_signed && facts.signed {
        return Some(WhyKept::Signed);
    }
    (retention.keep_referenced && facts.referenced).then_some(WhyKept::Referenced)
}

fn by_rules(retention: &Retention, facts: &TagFacts, now: Timestamp, ranks: &BTreeMap<usize, u64>) -> Decision {
    let Some(rank) = ranks.values().next().copied() else { return Decision::Keep(WhyKept::NoRule) };
    let ago_seconds = |then: Timestamp| now.0.saturating_sub(then.0) / 1000;
    let mut patterns = Vec::new();
    for (number, rank) in ranks {
        let rule = &retention.rules[*number];
        if let Some(why) = kept_by(rule, facts, *rank, ago_seconds) {
            return Decision::Keep(why);
        }
        patterns.push(rule.tags.clone());
    }
    Decision::Delete(WhyDeleted {
        patterns,
        rank,
        pushed_ago_seconds: ago_seconds(facts.pushed),
        pulled_ago_seconds: facts.pulled.map(ago_seconds),
    })
}

fn kept_by(
    rule: &RetentionRule,
    facts: &TagFacts,
    rank: u64,
    ago_seconds: impl Fn(Timestamp) -> u64,
) -> Option<WhyKept> {
    let pattern = || rule.tags.clone();
    if let Some(keep_last) = rule.keep_last.filter(|keep| rank <= u64::from(*keep)) {
        return Some(WhyKept::Last { pattern: pattern(), rank, keep_last });
    }
    let pushed = ago_seconds(facts.pushed);
    if let Some(within_seconds) = rule.pushed_within_seconds.filter(|within| pushed < *within) {
        return Some(WhyKept::Pushed { pattern: pattern(), ago_seconds: pushed, within_seconds });
    }
    // What was pushed a moment ago had no time yet to be pulled.
    let used = facts.pulled.map_or(pushed, |pulled| ago_seconds(pulled).min(pushed));
    let within_seconds = rule.pulled_within_seconds.filter(|within| used < *within)?;
    Some(WhyKept::Pulled { pattern: pattern(), ago_seconds: used, within_seconds })
}
