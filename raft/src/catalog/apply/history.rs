//! The history of each tag: who moved it, when, why, from what to what.
//!
//! Each change adds a row and removes the one that is too many by then: the cost does not depend on what was before. A
//! tag that is deleted leaves its history for a while, and continues it when it is set again.

use storage::kv::{Direction, Scan};

use super::context::Context;
use super::{garbage, policy};
use crate::catalog::garbage::GarbageItem;
use crate::catalog::history::{ChangeCause, TagChange};
use crate::catalog::limit::TAG_CHANGES_KEPT;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::TagRecord;
use crate::catalog::table::TagHistory;
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// Who changes something, and why.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    /// Who; `None` if nobody knows.
    pub(super) principal: Option<String>,
    /// Why.
    pub(super) cause: ChangeCause,
    /// When it happened at the home, if it was brought from there; now, if none.
    pub(super) made: Option<Timestamp>,
}

fn item(repository: &RepositoryName, tag: &Tag) -> GarbageItem {
    GarbageItem::TagHistory { repository: repository.clone(), tag: tag.clone() }
}

/// The last change of a tag, with its revision.
pub(super) fn last(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<(u64, TagChange)>, ApplyError> {
    let prefix = TagHistory::key::<(RepositoryName, Tag)>((repository, tag));
    let scan = Scan { direction: Direction::Reverse, ..Scan::prefix(TagHistory::COLUMN, &prefix, 1) };
    let rows = TagHistory::rows(context.state, &scan)?;
    Ok(rows.into_iter().next().map(|((_, _, revision), change)| (revision, change)))
}

/// Remembers that a tag is set. `before` is what it was, if it exists. Returns the new revision, and the time that counts: a
/// change is never older than the one before it.
pub(super) fn set(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
    before: Option<&TagRecord>,
    actor: &Actor,
) -> Result<(u64, Timestamp), ApplyError> {
    let (revision, last) = match before {
        Some(before) => (before.revision, before.updated),
        None => match last(context, repository, tag)? {
            Some((revision, change)) => {
                garbage::dequeue(context, &item(repository, tag))?;
                (revision, change.time)
            }
            None => (0, Timestamp(0)),
        },
    };
    let time = actor.made.unwrap_or(context.now).max(last);
    let previous = before.map(|before| before.digest);
    let change =
        TagChange { time, principal: actor.principal.clone(), cause: actor.cause, digest: Some(*digest), previous };
    add(context, repository, tag, revision + 1, &change);
    Ok((revision + 1, time))
}

/// Remembers that a tag is deleted; what is known of it goes when nobody can want it back.
pub(super) fn deleted(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    before: (u64, Digest),
    actor: &Actor,
) -> Result<(), ApplyError> {
    let (revision, previous) = before;
    let (principal, cause) = (actor.principal.clone(), actor.cause);
    let change = TagChange { time: context.now, principal, cause, digest: None, previous: Some(previous) };
    add(context, repository, tag, revision + 1, &change);
    let policy = policy::of(context, repository)?;
    let deadline = context.now.plus_seconds(policy.grace_seconds.max(policy.restore_seconds));
    garbage::queue(context, &item(repository, tag), deadline)
}

fn add(context: &mut Context<'_, '_>, repository: &RepositoryName, tag: &Tag, revision: u64, change: &TagChange) {
    TagHistory::put(context.state, (repository, tag, &revision), change);
    if let Some(oldest) = revision.checked_sub(TAG_CHANGES_KEPT).filter(|oldest| *oldest > 0) {
        TagHistory::delete(context.state, (repository, tag, &oldest));
    }
}

/// Removes the history of a tag that does not exist. Returns the number of its rows.
pub(super) fn forget(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<usize, ApplyError> {
    let rows = TagHistory::scan::<(RepositoryName, Tag)>(context.state, (repository, tag), None, usize::MAX)?;
    for ((_, _, revision), _) in &rows {
        TagHistory::delete(context.state, (repository, tag, revision));
    }
    Ok(rows.len())
}
