//! The home's change feed, as a region with a copy is told of it: tags and manifests below a prefix, in order.

use std::collections::BTreeSet;

use raft::catalog::{DebtItem, Event, EventKind, RepositoryName};

use super::{Reading, Told};
use crate::replication::QuestionError;
use crate::replication::question::{FEED_EVENTS_MAX, FeedAnswer, FeedEvent, PositionAnswer};

/// Most events that are looked at for one answer.
const EXAMINED_MAX: u64 = 8192;
/// Events read at once.
const PAGE: usize = 1024;

/// What has happened from `cursor` on.
pub(super) fn read(
    told: &Told,
    view: &Reading,
    position: PositionAnswer,
    cursor: u64,
    limit: usize,
) -> Result<FeedAnswer, QuestionError> {
    let PositionAnswer { end, clock, policy_version } = position;
    let mut answer = FeedAnswer { cursor_next: cursor, end, clock, lost: false, policy_version, events: Vec::new() };
    let limit = limit.clamp(1, FEED_EVENTS_MAX);
    let mut checked = BTreeSet::new();
    answer.lost = cursor > end || cursor < view.event_sequences()?.start;
    while !answer.lost && answer.cursor_next < end && answer.cursor_next - cursor < EXAMINED_MAX {
        let page = view.events(answer.cursor_next, PAGE)?;
        // What is trimmed while it is read is gone.
        answer.lost = page.first().is_none_or(|(sequence, _)| *sequence != answer.cursor_next);
        for (sequence, event) in page {
            if answer.lost || sequence >= end || sequence - cursor >= EXAMINED_MAX {
                break;
            }
            if let Some(told_of) = told_of(told, sequence, event) {
                if answer.events.len() >= limit {
                    return Ok(answer);
                }
                check(told, view, &mut checked, &told_of.repository)?;
                answer.events.push(told_of);
            }
            answer.cursor_next = sequence + 1;
        }
    }
    if answer.lost {
        (answer.cursor_next, answer.events) = (cursor, Vec::new());
    }
    Ok(answer)
}

/// Looks once whether a repository may be told of.
fn check(
    told: &Told,
    view: &Reading,
    checked: &mut BTreeSet<RepositoryName>,
    repository: &RepositoryName,
) -> Result<(), QuestionError> {
    if !checked.contains(repository) {
        told.check(view, repository)?;
        checked.insert(repository.clone());
    }
    Ok(())
}

/// The event as it is told, if the question is about it.
fn told_of(told: &Told, sequence: u64, event: Event) -> Option<FeedEvent> {
    let (repository, item, length_bytes) = match event.kind {
        EventKind::ManifestStored { repository, digest, length_bytes, .. } => {
            (repository, DebtItem::Manifest { digest }, length_bytes)
        }
        EventKind::ManifestDeleted { repository, digest } => (repository, DebtItem::ManifestGone { digest }, 0),
        EventKind::TagSet { repository, tag, digest, .. } => (repository, DebtItem::Tag { tag, digest }, 0),
        EventKind::TagDeleted { repository, tag, .. } => (repository, DebtItem::TagGone { tag }, 0),
        EventKind::BlobLinked { repository, digest, length_bytes, .. } if told.blobs => {
            (repository, DebtItem::Blob { digest }, length_bytes)
        }
        // Blobs come with the manifests that need them, and go when nothing does.
        EventKind::BlobLinked { .. } | EventKind::BlobUnlinked { .. } => return None,
    };
    let event = FeedEvent { sequence, time: event.time, repository, item, length_bytes };
    told.is_about(&event.repository).then_some(event)
}
