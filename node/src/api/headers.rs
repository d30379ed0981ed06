//! Headers that several endpoints send or read.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH, IF_RANGE, LINK, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use raft::catalog::{Digest, RepositoryName, SessionId};

/// On every answer below `/v2/`.
pub(super) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// Its value.
pub(super) const API_VERSION_VALUE: HeaderValue = HeaderValue::from_static("registry/2.0");
/// Digest of the content that the answer speaks of.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Session of an upload.
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// Subject of the manifest that was stored.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// A tag that was set, one header each (drafts of distribution-spec 1.2).
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Filters that a list of referrers went through.
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A value made of text that this program wrote: ASCII throughout.
pub(super) fn value(text: impl Into<Bytes>) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.into()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Sets `Docker-Content-Digest`, and `ETag` to the same in quotes. Both share one buffer.
pub(super) fn set_digest(headers: &mut HeaderMap, digest: &Digest) {
    let quoted = Bytes::from(format!("\"{digest}\""));
    headers.insert(CONTENT_DIGEST, value(quoted.slice(1..quoted.len() - 1)));
    headers.insert(ETAG, value(quoted));
}

/// Sets `Content-Length`.
pub(super) fn set_length(headers: &mut HeaderMap, length_bytes: u64) {
    headers.insert(CONTENT_LENGTH, length_bytes.into());
}

/// Sets `Location` to a path of this registry: relative, so that no proxy in front can make it wrong.
pub(super) fn set_location(headers: &mut HeaderMap, path: String) {
    headers.insert(LOCATION, value(path));
}

/// Path of a blob.
pub(super) fn blob_path(repository: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// Path of an upload session.
pub(super) fn upload_path(repository: &RepositoryName, session: SessionId) -> String {
    format!("/v2/{repository}/blobs/uploads/{session}")
}

/// Sets where an upload stands. `Range` is `0-<last byte>`, and `0-0` when there is none, since clients read it with
/// two plain numbers.
pub(super) fn set_upload(headers: &mut HeaderMap, repository: &RepositoryName, session: SessionId, offset_bytes: u64) {
    set_location(headers, upload_path(repository, session));
    headers.insert(UPLOAD_UUID, value(session.to_string()));
    headers.insert(RANGE, value(format!("0-{}", offset_bytes.saturating_sub(1))));
}

/// Sets `Link` to the next page.
pub(super) fn set_next(headers: &mut HeaderMap, path_and_query: &str) {
    headers.insert(LINK, value(format!("<{path_and_query}>; rel=\"next\"")));
}

/// Whether `If-None-Match` names the content: the client has it.
pub(super) fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    if !headers.contains_key(IF_NONE_MATCH) {
        return false;
    }
    let own = digest.to_string();
    let texts = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|tag| {
        let tag = tag.trim();
        // Weak comparison (RFC 9110, section 13.1.2); some clients send the digest without quotes.
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == own
    })
}

/// Whether `If-Range` lets a range be answered: it is missing, or names the content by its strong tag.
pub(super) fn may_be_partial(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| {
        let own = format!("\"{digest}\"");
        value.as_bytes() == own.as_bytes()
    })
}

/// 304, with the headers that identify the content.
pub(super) fn not_modified(digest: &Digest) -> Response<Body> {
    // A body of unknown length: an empty one would be given `Content-Length: 0`, which is not the content's.
    let body = Body::from_stream(futures_util::stream::empty::<Result<Bytes, std::convert::Infallible>>());
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    set_digest(response.headers_mut(), digest);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digest_and_etag_say_the_same() {
        let mut headers = HeaderMap::new();
        set_digest(&mut headers, &TEXT.parse().unwrap());
        assert_eq!(headers[CONTENT_DIGEST], TEXT);
        assert_eq!(headers[ETAG], format!("\"{TEXT}\""));
    }

    #[test]
    fn the_range_of_an_upload_is_never_negative() {
        let (repository, session) = ("a/b".parse().unwrap(), SessionId([0; 16]));
        for (offset, range) in [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1024, "0-1023")] {
            let mut headers = HeaderMap::new();
            set_upload(&mut headers, &repository, session, offset);
            assert_eq!(headers[RANGE], range);
            assert_eq!(headers[LOCATION], "/v2/a/b/blobs/uploads/00000000-0000-0000-0000-000000000000");
        }
    }

    #[test]
    fn conditions_compare_the_digest() {
        let digest = TEXT.parse().unwrap();
        let with = |name: HeaderName, text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, text.parse().unwrap());
            headers
        };
        for known in [format!("\"{TEXT}\""), TEXT.to_owned(), format!("\"x\", W/\"{TEXT}\""), "*".to_owned()] {
            assert!(is_known(&with(IF_NONE_MATCH, &known), &digest), "{known}");
        }
        for other in ["\"x\"", "", "\"sha256:e3\""] {
            assert!(!is_known(&with(IF_NONE_MATCH, other), &digest), "{other}");
        }
        assert!(!is_known(&HeaderMap::new(), &digest) && may_be_partial(&HeaderMap::new(), &digest));
        assert!(may_be_partial(&with(IF_RANGE, &format!("\"{TEXT}\"")), &digest));
        for other in [format!("W/\"{TEXT}\""), "Wed, 21 Oct 2015 07:28:00 GMT".to_owned()] {
            assert!(!may_be_partial(&with(IF_RANGE, &other), &digest), "{other}");
        }
    }
}
