//! Manifests (distribution-spec 1.1, "Pulling manifests", "Pushing Manifests", "Deleting tags", "Deleting Manifests").
//!
//! They go out as they came: the exact bytes under the stored media type, whatever `Accept` says.

use std::collections::BTreeSet;

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use raft::catalog::{RepositoryName, Tag};
use raft::directory::Action;

use super::copies::copying;
use super::error::{ApiError, Code};
use super::inbound::Inbound;
use super::record::Change;
use super::{Answer, Api, Head, headers};
use crate::registry::{Reference, media_type};

/// Most tags that one push may set. The drafts of distribution-spec 1.2 ask for ten at least.
const TAGS_MAX: usize = 100;

impl Api {
    /// `GET` and `HEAD /v2/<name>/manifests/<reference>`
    pub(super) async fn get_manifest(&self, repository: &RepositoryName, reference: &Reference, head: &Head) -> Answer {
        let manifest = if head.is_head() {
            self.registry.stat_manifest(repository, reference).await?
        } else if copying(head).is_some() {
            self.registry.manifest_to_copy(repository, reference).await?
        } else {
            self.registry.manifest(repository, reference).await?
        };
        if headers::is_known(&head.parts.headers, &manifest.digest) {
            return Ok(headers::not_modified(&manifest.digest));
        }
        if !head.is_head() {
            self.record_pull(head, repository, reference).await;
        }
        let mut response = Response::new(Body::from(manifest.bytes));
        let headers = response.headers_mut();
        headers::set_digest(headers, &manifest.digest);
        headers::set_length(headers, manifest.length_bytes);
        headers.insert(CONTENT_TYPE, content_type(&manifest.media_type));
        Ok(response)
    }

    /// `PUT /v2/<name>/manifests/<reference>`, with `?tag=…&tag=…` from the drafts of distribution-spec 1.2.
    pub(super) async fn put_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        head: &Head,
        body: Inbound,
    ) -> Answer {
        let tags = tags(head)?;
        let limit = self.options.manifest_bytes_max;
        if body.expected_bytes().is_some_and(|announced| announced > limit) {
            return Err(ApiError::manifest_too_large(limit));
        }
        let content_type = content_type_of(&head.parts.headers)?;
        let bytes = body.gather(limit).await.map_err(|error| match error {
            Some(error) => ApiError::manifest_body(&error),
            None => ApiError::manifest_too_large(limit),
        })?;
        let moves_tags = matches!(reference, Reference::Tag(_)) || !tags.is_empty();
        self.confirm(head, repository, if moves_tags { &[Action::Push, Action::Tag] } else { &[Action::Push] }).await?;
        head.onward.begin();
        let (content_type, principal) = (content_type.as_deref(), head.principal());
        let pushed =
            self.registry.put_manifest(repository, reference, content_type, bytes, tags.clone(), principal).await;
        let pushed = pushed.map_err(ApiError::from);
        let after = pushed.as_ref().ok().map(|pushed| pushed.digest);
        let moved = pushed.as_ref().map_or_else(|_| Vec::new(), |pushed| pushed.tags.clone());
        let change = Change::manifest(repository, reference).moving(moved);
        self.record(head, change, after.as_ref(), pushed.as_ref().map(|_| ())).await;
        let pushed = pushed?;

        let mut response = headers::empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        headers::set_location(headers, format!("/v2/{repository}/manifests/{}", pushed.digest));
        headers.insert(headers::CONTENT_DIGEST, headers::value(pushed.digest.to_string()));
        if let Some(subject) = pushed.subject {
            headers.insert(headers::OCI_SUBJECT, headers::value(subject.to_string()));
        }
        for tag in tags {
            headers.append(headers::OCI_TAG, headers::value(tag.as_str().to_owned()));
        }
        Ok(response)
    }

    /// `DELETE /v2/<name>/manifests/<reference>`
    pub(super) async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        head: &Head,
    ) -> Answer {
        head.onward.begin();
        let deleted = self.registry.delete(repository, reference, head.principal()).await.map_err(ApiError::from);
        let gone = deleted.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
        let change = Change::manifest_deleted(repository, reference).removing(gone);
        self.record(head, change, None, deleted.as_ref().map(|_| ())).await;
        deleted?;
        Ok(headers::empty(StatusCode::ACCEPTED))
    }
}

/// The tags of the query, each once.
fn tags(head: &Head) -> Result<Vec<Tag>, ApiError> {
    let mut seen = BTreeSet::new();
    let mut tags = Vec::new();
    for text in head.query().all("tag") {
        let tag: Tag = text
            .parse()
            .map_err(|error: raft::catalog::InvalidName| ApiError::new(Code::TagInvalid, error.to_string()))?;
        if seen.insert(tag.clone()) {
            tags.push(tag);
        }
    }
    if tags.len() > TAGS_MAX {
        let message = format!("at most {TAGS_MAX} tags can be set at once");
        return Err(ApiError::new(Code::TagInvalid, message).with_status(StatusCode::URI_TOO_LONG));
    }
    Ok(tags)
}

fn content_type_of(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let text = headers.get(CONTENT_TYPE).map(HeaderValue::to_str).transpose();
    let text = text.map_err(|_| ApiError::new(Code::ManifestInvalid, "Content-Type is not ASCII"))?;
    Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// The header for a stored media type, without a copy for the usual ones.
fn content_type(stored: &str) -> HeaderValue {
    const USUAL: [&str; 4] =
        [media_type::IMAGE, media_type::INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST];
    match USUAL.into_iter().find(|usual| *usual == stored) {
        Some(usual) => HeaderValue::from_static(usual),
        None => headers::value(stored.to_owned()),
    }
}
