//! The paths of the local socket for what was: `POST /history`, `/deleted-tags`, `/tombstones`,
//! `/restore`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use raft::catalog::{Digest, InvalidName, RestoreTarget, Tag, TagChange, TombstoneRecord};
use raft::time::Timestamp;

use super::deletion_types::{
    DeletedTag, DeletedTagsAnswer, DeletedTagsRequest, HistoryAnswer, HistoryEntry, HistoryRequest, RestoreRequest,
    RestoredAnswer, TombstoneEntry, TombstonesAnswer, TombstonesRequest,
};
use super::operator::Operator;
use super::refusal::refused;
use super::router::Admin;
use super::types::VERSION;
use crate::deletion::{DeletedTags, DeletionError};

/// Tags or manifests in one page.
const PAGE: usize = 500;

/// Changes of a tag in one answer: more are not kept.
const CHANGES: usize = 100;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/history", post(history))
        .route("/deleted-tags", post(deleted_tags))
        .route("/tombstones", post(tombstones))
        .route("/restore", post(restore))
}

async fn history(State(admin): State<Admin>, Json(request): Json<HistoryRequest>) -> Response {
    let HistoryRequest { repository, tag } = request;
    match admin.deletion.tag_history(&repository, &tag, CHANGES).await {
        Ok(changes) if changes.is_empty() => refused(&DeletionError::Unknown(format!(
            "nothing is known of tag {tag} in {repository}: it never was there, or was deleted so long ago that its history \
             is gone"
        ))),
        Ok(changes) => {
            let changes = changes.into_iter().map(change).collect();
            Json(HistoryAnswer { version: VERSION, repository, tag, changes }).into_response()
        }
        Err(error) => refused(&error),
    }
}

/// A digest that somebody has named.
fn parse(text: &str) -> Result<Digest, DeletionError> {
    text.parse().map_err(|error: InvalidName| DeletionError::Invalid(error.to_string()))
}

/// A change as it is told.
pub(crate) fn change(change: TagChange) -> HistoryEntry {
    HistoryEntry {
        time_milliseconds: change.time.0,
        principal: change.principal,
        cause: change.cause.name().to_owned(),
        digest: change.digest.map(|digest| digest.to_string()),
        previous: change.previous.map(|digest| digest.to_string()),
    }
}

async fn deleted_tags(State(admin): State<Admin>, Json(request): Json<DeletedTagsRequest>) -> Response {
    let DeletedTagsRequest { repository, after } = request;
    match admin.deletion.deleted_tags(&repository, after.as_ref(), PAGE).await {
        Ok(DeletedTags { tags: found, restore_seconds, now }) => {
            let next = found.last().filter(|_| found.len() == PAGE).map(|(tag, _)| tag.clone());
            let tags = found.into_iter().filter_map(|(tag, change)| deleted_tag(tag, change, restore_seconds, now));
            let tags = tags.collect();
            Json(DeletedTagsAnswer { version: VERSION, repository, tags, next }).into_response()
        }
        Err(error) => refused(&error),
    }
}

/// A deleted tag as it is told, if it can still be restored.
fn deleted_tag(tag: Tag, change: TagChange, restore_seconds: u64, now: Timestamp) -> Option<DeletedTag> {
    let until = change.time.plus_seconds(restore_seconds);
    let digest = change.previous.filter(|_| change.digest.is_none() && now < until)?;
    Some(DeletedTag {
        tag,
        digest: digest.to_string(),
        deleted_milliseconds: change.time.0,
        until_milliseconds: until.0,
        principal: change.principal,
        cause: change.cause.name().to_owned(),
    })
}

async fn tombstones(State(admin): State<Admin>, Json(request): Json<TombstonesRequest>) -> Response {
    let TombstonesRequest { repository, after } = request;
    let found = async {
        let after = after.as_deref().map(parse).transpose()?;
        admin.deletion.tombstones(&repository, after.as_ref(), PAGE).await
    };
    match found.await {
        Ok(found) => {
            let next = found.last().filter(|_| found.len() == PAGE).map(|(digest, _)| digest.to_string());
            let tombstones = found.into_iter().map(tombstone).collect();
            Json(TombstonesAnswer { version: VERSION, repository, tombstones, next }).into_response()
        }
        Err(error) => refused(&error),
    }
}

fn tombstone((digest, record): (Digest, TombstoneRecord)) -> TombstoneEntry {
    TombstoneEntry {
        digest: digest.to_string(),
        media_type: record.record.media_type,
        tags: record.tags,
        deleted_milliseconds: record.deleted.0,
        until_milliseconds: record.until.0,
        principal: record.principal,
        cause: record.cause.name().to_owned(),
    }
}

async fn restore(State(admin): State<Admin>, operator: Operator, Json(request): Json<RestoreRequest>) -> Response {
    let RestoreRequest { repository, tag, digest } = request;
    let target = match (tag, digest) {
        (Some(tag), None) => RestoreTarget::Tag(tag),
        (None, Some(digest)) => match parse(&digest) {
            Ok(digest) => RestoreTarget::Manifest(digest),
            Err(error) => return refused(&error),
        },
        _ => return refused(&DeletionError::Invalid("name one of the two: a tag or a digest".to_owned())),
    };
    match admin.deletion.restore(&repository, target, Some(operator.name())).await {
        Ok(restored) => {
            let (digest, tags) = (restored.digest.to_string(), restored.tags);
            Json(RestoredAnswer { version: VERSION, repository, digest, tags }).into_response()
        }
        Err(error) => refused(&error),
    }
}

#[cfg(test)]
mod tests {
    use raft::catalog::ChangeCause;

    use super::*;

    #[test]
    fn a_tag_is_offered_while_it_can_be_restored() {
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let deletion = TagChange {
            time: Timestamp(5_000),
            principal: None,
            cause: ChangeCause::Delete,
            digest: None,
            previous: Some(digest),
        };
        let offered = |change: &TagChange, now| deleted_tag("v1".parse().unwrap(), change.clone(), 10, Timestamp(now));
        let tag = offered(&deletion, 14_999).unwrap();
        assert_eq!((tag.digest.parse(), tag.until_milliseconds, tag.cause.as_str()), (Ok(digest), 15_000, "delete"));
        assert_eq!(offered(&deletion, 15_000), None, "its time has passed");
        let push = TagChange { cause: ChangeCause::Push, digest: Some(digest), previous: None, ..deletion };
        assert_eq!(offered(&push, 5_000), None, "it exists");
    }
}
