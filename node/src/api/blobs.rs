//! Blobs: whole, in part, and whether they exist (distribution-spec 1.1, "Pulling blobs"; RFC 9110, section 14).
//!
//! The first bytes are verified before the head of an answer goes out. Nothing is ever content-encoded.

use axum::body::Body;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use raft::catalog::{Digest, RepositoryName};

use super::error::{ApiError, Code, digest_detail};
use super::outbound::Content;
use super::range::{Requested, requested};
use super::record::Change;
use super::{Answer, Api, Head, headers};
use crate::gateway::BlobError;

impl Api {
    /// `HEAD /v2/<name>/blobs/<digest>`
    pub(super) async fn head_blob(&self, repository: &RepositoryName, digest: &Digest, head: &Head) -> Answer {
        let length = self.gateway.stat_blob(repository, digest).await.map_err(|error| refuse(error, digest))?;
        if headers::is_known(&head.parts.headers, digest) {
            return Ok(not_modified(digest));
        }
        let mut response = headers::empty(StatusCode::OK);
        describe(response.headers_mut(), digest);
        headers::set_length(response.headers_mut(), length);
        Ok(response)
    }

    /// `GET /v2/<name>/blobs/<digest>`
    pub(super) async fn get_blob(&self, repository: &RepositoryName, digest: &Digest, head: &Head) -> Answer {
        let blob = self.gateway.open_blob(repository, digest).await.map_err(|error| refuse(error, digest))?;
        if headers::is_known(&head.parts.headers, digest) {
            return Ok(not_modified(digest));
        }
        let length = blob.length_bytes();
        let range = head.parts.headers.get(RANGE).and_then(|value| value.to_str().ok());
        let range = range.filter(|_| headers::may_be_partial(&head.parts.headers, digest));
        let (status, part) = match requested(range, length) {
            Requested::Whole => (StatusCode::OK, 0..length),
            Requested::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Requested::Unsatisfiable => {
                let held = headers::value(format!("bytes */{length}"));
                return Err(ApiError::new(Code::RangeInvalid, format!("the blob has {length} bytes"))
                    .with_header(CONTENT_RANGE, held));
            }
        };
        let bytes = part.end - part.start;
        let body = if bytes == 0 {
            Body::empty()
        } else {
            let stream = blob.read(part.clone()).await.map_err(ApiError::from)?;
            Body::new(Content::new(stream, bytes))
        };
        self.record_pull(head, repository, digest).await;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        describe(headers, digest);
        headers::set_length(headers, bytes);
        if status == StatusCode::PARTIAL_CONTENT {
            let place = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            headers.insert(CONTENT_RANGE, headers::value(place));
        }
        Ok(response)
    }

    /// `DELETE /v2/<name>/blobs/<digest>`
    pub(super) async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest, head: &Head) -> Answer {
        head.onward.begin();
        let unlinked = self.gateway.unlink_blob(repository, digest, head.principal()).await;
        let unlinked = unlinked.map_err(|error| refuse(error, digest));
        self.record(head, Change::blob_deleted(repository, digest), None, unlinked.as_ref().copied()).await;
        unlinked?;
        Ok(headers::empty(StatusCode::ACCEPTED))
    }
}

fn describe(headers: &mut HeaderMap, digest: &Digest) {
    headers::set_digest(headers, digest);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
}

fn not_modified(digest: &Digest) -> Response<Body> {
    let mut response = headers::not_modified(digest);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
    response
}

fn refuse(error: BlobError, digest: &Digest) -> ApiError {
    let unknown = error == BlobError::Unknown;
    let error = ApiError::from(error);
    if unknown { error.with_detail(digest_detail(digest)) } else { error }
}
