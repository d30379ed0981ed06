//! What of the requests goes into the audit log: what was given out, and what was changed or tried to be. Refusals by rules
//! are recorded where they are made (`gate`); what a client does wrong changes nothing and is not recorded.

use http::StatusCode;
use raft::catalog::{Digest, RepositoryName, Tag};

use super::error::ApiError;
use super::{Api, Head};
use crate::audit::{AuditEvent, Outcome, PULL};
use crate::registry::Reference;

/// A change that somebody asks for, before it is known what comes of it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    action: &'static str,
    repository: &'a RepositoryName,
    target: String,
    /// Tags that were moved or removed by it, and what they pointed to before: what the catalog has answered.
    tags: Vec<(Tag, Option<Digest>)>,
    before: Option<Digest>,
    detail: String,
}

impl<'a> Change<'a> {
    /// A blob becomes the repository's.
    pub(super) fn blob(repository: &'a RepositoryName, digest: &Digest, detail: impl Into<String>) -> Self {
        Self::new("push", repository, digest.to_string(), detail.into())
    }

    /// A blob is the repository's no more.
    pub(super) fn blob_deleted(repository: &'a RepositoryName, digest: &Digest) -> Self {
        let before = Some(*digest);
        Self { before, ..Self::new("delete", repository, digest.to_string(), String::new()) }
    }

    /// A manifest is pushed.
    pub(super) fn manifest(repository: &'a RepositoryName, reference: &Reference) -> Self {
        Self::new("push", repository, reference.to_string(), String::new())
    }

    /// A tag or a manifest is deleted.
    pub(super) fn manifest_deleted(repository: &'a RepositoryName, reference: &Reference) -> Self {
        let before = match reference {
            Reference::Tag(_) => None,
            Reference::Digest(digest) => Some(*digest),
        };
        Self { before, ..Self::new("delete", repository, reference.to_string(), String::new()) }
    }

    /// The same, with the tags that were moved by it.
    pub(super) fn moving(self, tags: Vec<(Tag, Option<Digest>)>) -> Self {
        Self { tags, ..self }
    }

    /// The same, with the tags that are gone: the one that was deleted, or those of the manifest.
    pub(super) fn removing(mut self, tags: Vec<(Tag, Digest)>) -> Self {
        if self.before.is_none() {
            self.before = tags.first().map(|(_, digest)| *digest);
            return self;
        }
        self.moving(tags.into_iter().map(|(tag, digest)| (tag, Some(digest))).collect())
    }

    fn new(action: &'static str, repository: &'a RepositoryName, target: String, detail: String) -> Self {
        Self { action, repository, target, tags: Vec::new(), before: None, detail }
    }
}

impl Api {
    /// Records what came of a change. `after` is the digest of what was pushed.
    pub(super) async fn record(
        &self,
        head: &Head,
        change: Change<'_>,
        after: Option<&Digest>,
        outcome: Result<(), &ApiError>,
    ) {
        let Some(visitor) = &head.visitor else { return };
        let event = |action| visitor.event(action).at(head.domain()).repository(change.repository.as_str());
        let text = |digest: Option<&Digest>| digest.map(ToString::to_string);
        if let Err(error) = outcome {
            let outcome = match error.status() {
                StatusCode::FORBIDDEN => Outcome::Refused,
                status if status.is_server_error() => Outcome::Failed,
                _ => return,
            };
            let event = event(change.action).target(change.target).change(text(change.before.as_ref()), None);
            return self.audit.record(event.outcome(outcome).detail(error.cause())).await;
        }
        let done: AuditEvent = event(change.action).target(change.target).detail(change.detail);
        self.audit.record(done.change(text(change.before.as_ref()), text(after))).await;
        for (tag, before) in change.tags {
            self.audit.record(event("tag").target(tag.as_str()).change(text(before.as_ref()), text(after))).await;
        }
    }

    /// Records that content was given out.
    pub(super) async fn record_pull(&self, head: &Head, repository: &RepositoryName, target: impl ToString) {
        let Some(visitor) = &head.visitor else { return };
        let event = visitor.event(PULL).at(head.domain()).repository(repository.as_str());
        self.audit.record(event.target(target.to_string())).await;
    }
}
