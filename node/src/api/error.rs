//! The one table from errors to OCI codes and HTTP statuses (distribution-spec 1.1, "Error Codes").
//!
//! Codes beyond the specification's are those of distribution, which clients know: `UNAVAILABLE`, `RANGE_INVALID`,
//! `PAGINATION_NUMBER_INVALID`, `TAG_INVALID`, `UNKNOWN`. What went wrong inside is logged, not told.

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use raft::catalog::Digest;
use serde::Serialize;
use serde_json::{Value, json};

use super::route::RouteError;
use crate::deletion::Refusal;
use crate::gateway::{BlobError, BodyError, ReadError, UploadError};
use crate::registry::RegistryError;
use crate::tenant::Tenant;

/// Seconds after which a client may try again when a disk is full: somebody has to free space first.
const NO_SPACE_RETRY_SECONDS: u64 = 60;

/// Seconds after which a client may try again when shards cannot be read.
const UNREADABLE_RETRY_SECONDS: u64 = 5;

/// Seconds after which a client may try again when the home of a namespace has changed: nodes learn of it within one.
const MOVING_RETRY_SECONDS: u64 = 1;

/// An error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The blob does not exist.
    BlobUnknown,
    /// The upload is broken.
    BlobUploadInvalid,
    /// The upload session does not exist.
    BlobUploadUnknown,
    /// A policy does not allow it.
    Denied,
    /// A digest is malformed, or the content has another one.
    DigestInvalid,
    /// A manifest uses a blob that does not exist.
    ManifestBlobUnknown,
    /// The manifest is not valid.
    ManifestInvalid,
    /// The manifest does not exist.
    ManifestUnknown,
    /// A repository's name is malformed.
    NameInvalid,
    /// The repository does not exist.
    NameUnknown,
    /// A page's size is not valid.
    PaginationNumberInvalid,
    /// A range is not valid, or not where the upload stands.
    RangeInvalid,
    /// Something has another length than was said.
    SizeInvalid,
    /// A tag is malformed.
    TagInvalid,
    /// Too much was asked lately.
    TooManyRequests,
    /// Whoever asks must show who he is, or a token for it.
    Unauthorized,
    /// The service cannot do it now.
    Unavailable,
    /// The same, of this one thing alone: too little of it can be read.
    Unreadable,
    /// A defect.
    Unknown,
    /// The operation does not exist or is switched off.
    Unsupported,
}

impl Code {
    /// Its name and the status that usually goes with it.
    pub(super) const fn entry(self) -> (&'static str, StatusCode) {
        match self {
            Self::BlobUnknown => ("BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Self::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", StatusCode::BAD_REQUEST),
            Self::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND),
            Self::Denied => ("DENIED", StatusCode::FORBIDDEN),
            Self::DigestInvalid => ("DIGEST_INVALID", StatusCode::BAD_REQUEST),
            Self::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", StatusCode::BAD_REQUEST),
            Self::ManifestInvalid => ("MANIFEST_INVALID", StatusCode::BAD_REQUEST),
            Self::ManifestUnknown => ("MANIFEST_UNKNOWN", StatusCode::NOT_FOUND),
            Self::NameInvalid => ("NAME_INVALID", StatusCode::BAD_REQUEST),
            Self::NameUnknown => ("NAME_UNKNOWN", StatusCode::NOT_FOUND),
            Self::PaginationNumberInvalid => ("PAGINATION_NUMBER_INVALID", StatusCode::BAD_REQUEST),
            Self::RangeInvalid => ("RANGE_INVALID", StatusCode::RANGE_NOT_SATISFIABLE),
            Self::SizeInvalid => ("SIZE_INVALID", StatusCode::BAD_REQUEST),
            Self::TagInvalid => ("TAG_INVALID", StatusCode::BAD_REQUEST),
            Self::TooManyRequests => ("TOOMANYREQUESTS", StatusCode::TOO_MANY_REQUESTS),
            Self::Unauthorized => ("UNAUTHORIZED", StatusCode::UNAUTHORIZED),
            Self::Unavailable | Self::Unreadable => ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
            Self::Unknown => ("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unsupported => ("UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

/// An error as a client sees it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: Code,
    status: StatusCode,
    message: String,
    /// One per error of the answer; an empty list is one error without details.
    details: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What a client is not told.
    cause: Option<String>,
}

impl ApiError {
    /// An error with the code's own status.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let status = code.entry().1;
        Self { code, status, message: message.into(), details: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// The method is none of the endpoint's.
    pub(super) fn method(allowed: &'static str) -> Self {
        let error = Self::new(Code::Unsupported, "the method is not allowed here");
        error.with_header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// The body of a manifest is too large.
    pub(super) fn manifest_too_large(limit_bytes: u64) -> Self {
        Self::new(Code::SizeInvalid, format!("manifests of more than {limit_bytes} bytes are not accepted"))
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The body of a manifest broke off.
    pub(super) fn manifest_body(error: &BodyError) -> Self {
        Self { code: Code::ManifestInvalid, ..Self::from(error.clone()) }
    }

    /// A defect, of which the client learns nothing more.
    pub(super) fn internal(cause: String) -> Self {
        Self { cause: Some(cause), ..Self::new(Code::Unknown, "internal error: the log of the node tells more") }
    }

    fn unavailable(message: String, retry_after_seconds: u64) -> Self {
        Self::new(Code::Unavailable, message).with_header(RETRY_AFTER, retry_after_seconds.into())
    }

    /// With another status than the code's own.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With one more detail.
    pub(super) fn with_detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    /// With a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether it is said of this one thing alone, and not of everything that is asked for now.
    pub(super) const fn is_unreadable(&self) -> bool {
        matches!(self.code, Code::Unreadable)
    }

    /// Name of its code.
    pub(super) const fn code(&self) -> &'static str {
        self.code.entry().0
    }

    /// What to write into the log.
    pub(super) fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.message)
    }

    /// The same in a tenant's names. `about` is the full name that the request is about.
    pub(super) fn in_names_of(mut self, tenant: &Tenant, about: &str) -> Self {
        let root = |own: &str| if own.is_empty() { "/".to_owned() } else { own.to_owned() };
        for detail in &mut self.details {
            if let Some(Value::String(name)) = detail.get_mut("name") {
                *name = tenant.own_namespace(name).to_owned();
            }
            if let Some(Value::String(namespace)) = detail.get_mut("namespace") {
                let own = tenant.own_namespace(namespace).to_owned();
                self.message = self.message.replace(&format!("{namespace:?}"), &format!("{:?}", root(&own)));
                *namespace = own;
            }
        }
        self.message = match tenant.own(about) {
            Some(own) => self.message.replace(about, own),
            // The namespace itself: a word that may stand for something else as well.
            None => self.message.replace(&format!("{about:?}"), "\"/\""),
        };
        self
    }

    /// The answer.
    pub(super) fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            errors: Vec<Entry<'a>>,
        }
        #[derive(Serialize)]
        struct Entry<'a> {
            code: &'static str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a Value>,
        }
        let entry = |detail| Entry { code: self.code(), message: &self.message, detail };
        let errors = if self.details.is_empty() {
            vec![entry(None)]
        } else {
            self.details.iter().map(|detail| entry(Some(detail))).collect()
        };
        let body = serde_json::to_vec(&Envelope { errors }).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Detail that names a digest.
pub(super) fn digest_detail(digest: &Digest) -> Value {
    json!({ "digest": digest.to_string() })
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        let message = error.to_string();
        match error {
            RouteError::NotFound => Self::new(Code::Unsupported, message).with_status(StatusCode::NOT_FOUND),
            RouteError::Encoding | RouteError::Name(_) | RouteError::Long(_) => Self::new(Code::NameInvalid, message),
            RouteError::Digest(_) => Self::new(Code::DigestInvalid, message),
            RouteError::Tag(_) => Self::new(Code::TagInvalid, message),
            RouteError::Session(_) => Self::new(Code::BlobUploadUnknown, message),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Quota { namespace, resource, used, limit, needed } => Self::new(Code::Denied, message)
                .with_detail(json!({
                    "namespace": namespace,
                    "resource": resource.name(),
                    "used": used,
                    "allowed": limit,
                    "needed": needed,
                })),
            Refusal::Immutable { tag, digest, namespace, pattern } => {
                Self::new(Code::Denied, message).with_detail(json!({
                    "tag": tag.as_str(),
                    "digest": digest.to_string(),
                    "namespace": namespace,
                    "pattern": pattern,
                }))
            }
            Refusal::DeletesOff { namespace } => Self::new(Code::Unsupported, message)
                .with_detail(json!({ "namespace": namespace }))
                .with_header(ALLOW, HeaderValue::from_static("GET, HEAD")),
            Refusal::Foreign { .. } => Self::unavailable(message, MOVING_RETRY_SECONDS),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        match error {
            RegistryError::RepositoryUnknown(name) => {
                Self::new(Code::NameUnknown, message).with_detail(json!({ "name": name.as_str() }))
            }
            RegistryError::ManifestUnknown { repository, reference } => Self::new(Code::ManifestUnknown, message)
                .with_detail(json!({ "name": repository.as_str(), "reference": reference })),
            RegistryError::ManifestInvalid(_) => Self::new(Code::ManifestInvalid, message),
            RegistryError::DigestMismatch { .. } => Self::new(Code::DigestInvalid, message),
            RegistryError::BlobsUnknown(digests) => Self {
                details: digests.iter().map(digest_detail).collect(),
                ..Self::new(Code::ManifestBlobUnknown, message)
            },
            RegistryError::Refused(refusal) => (*refusal).into(),
            RegistryError::Unavailable { message, retry_after_seconds } => {
                Self::unavailable(message, retry_after_seconds)
            }
            RegistryError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            BodyError::Disconnected | BodyError::Malformed { .. } => StatusCode::BAD_REQUEST,
            BodyError::Withdrawn => return Self::new(Code::Denied, error.to_string()),
        };
        Self::new(Code::BlobUploadInvalid, error.to_string()).with_status(status)
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let message = error.to_string();
        match error {
            UploadError::Unknown => Self::new(Code::BlobUploadUnknown, message),
            UploadError::RangeMismatch { .. } | UploadError::Moved { .. } => Self::new(Code::RangeInvalid, message),
            UploadError::DigestMismatch { .. } => Self::new(Code::DigestInvalid, message),
            UploadError::NoSpace(_) => {
                Self::unavailable(message, NO_SPACE_RETRY_SECONDS).with_status(StatusCode::INSUFFICIENT_STORAGE)
            }
            UploadError::Unavailable { retry_after_seconds, message } => {
                Self::unavailable(message, retry_after_seconds)
            }
            UploadError::Body(error) => error.into(),
            UploadError::TooManyChunks { .. } => {
                Self::new(Code::BlobUploadInvalid, message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
            }
            UploadError::TooLarge { .. } => {
                Self::new(Code::SizeInvalid, message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
            }
            UploadError::Refused(refusal) => (*refusal).into(),
            UploadError::Internal { message } => Self::internal(message),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        let message = error.to_string();
        match error {
            BlobError::Unknown => Self::new(Code::BlobUnknown, message),
            BlobError::InUse { manifest } => Self::new(Code::Unsupported, message)
                .with_detail(json!({ "manifest": manifest.to_string() }))
                .with_header(ALLOW, HeaderValue::from_static("GET, HEAD")),
            BlobError::Refused(refusal) => (*refusal).into(),
            BlobError::Unavailable { retry_after_seconds, message } => Self::unavailable(message, retry_after_seconds),
            BlobError::Internal { message } => Self::internal(message),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        let cause = error.to_string();
        match error {
            ReadError::Unreadable { .. } => Self {
                code: Code::Unreadable,
                cause: Some(cause),
                ..Self::unavailable("too few of the blob's shards can be read now".to_owned(), UNREADABLE_RETRY_SECONDS)
            },
            ReadError::Unavailable { .. } => Self {
                cause: Some(cause),
                ..Self::unavailable("the catalog cannot be read on this node now".to_owned(), UNREADABLE_RETRY_SECONDS)
            },
            ReadError::Gone { .. } => Self::new(Code::BlobUnknown, "the blob was deleted just now"),
            ReadError::Internal { message } => Self::internal(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use raft::policy::QuotaResource;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn quota() -> Refusal {
        Refusal::Quota { namespace: "a".to_owned(), resource: QuotaResource::Tags, used: 3, limit: 3, needed: 1 }
    }

    fn immutable() -> Refusal {
        let (tag, digest) = ("v1".parse().unwrap(), Box::new(EMPTY.parse().unwrap()));
        Refusal::Immutable { tag, digest, namespace: "a".to_owned(), pattern: "v*".to_owned() }
    }

    #[test]
    fn the_table_holds() {
        let digest: Digest = EMPTY.parse().unwrap();
        let name: raft::catalog::RepositoryName = "a/b".parse().unwrap();
        let unavailable = || UploadError::Unavailable { retry_after_seconds: 7, message: "m".to_owned() };
        let body = |error| ApiError::from(UploadError::Body(error));
        let unknown_manifest =
            || RegistryError::ManifestUnknown { repository: name.clone(), reference: "latest".to_owned() };
        let table: Vec<(ApiError, &str, u16)> = vec![
            (RouteError::NotFound.into(), "UNSUPPORTED", 404),
            (RouteError::Encoding.into(), "NAME_INVALID", 400),
            (RegistryError::RepositoryUnknown(name.clone()).into(), "NAME_UNKNOWN", 404),
            (unknown_manifest().into(), "MANIFEST_UNKNOWN", 404),
            (RegistryError::BlobsUnknown(vec![digest]).into(), "MANIFEST_BLOB_UNKNOWN", 400),
            (
                RegistryError::DigestMismatch { expected: Box::new(digest), actual: Box::new(digest) }.into(),
                "DIGEST_INVALID",
                400,
            ),
            (RegistryError::Internal("x".to_owned()).into(), "UNKNOWN", 500),
            (UploadError::Unknown.into(), "BLOB_UPLOAD_UNKNOWN", 404),
            (UploadError::RangeMismatch { offset_bytes: 1 }.into(), "RANGE_INVALID", 416),
            (UploadError::Moved { offset_bytes: 1 }.into(), "RANGE_INVALID", 416),
            (
                UploadError::DigestMismatch { expected: Box::new(digest), actual: Box::new(digest) }.into(),
                "DIGEST_INVALID",
                400,
            ),
            (UploadError::NoSpace("full".to_owned()).into(), "UNAVAILABLE", 507),
            (unavailable().into(), "UNAVAILABLE", 503),
            (body(BodyError::Disconnected), "BLOB_UPLOAD_INVALID", 400),
            (body(BodyError::TimedOut), "BLOB_UPLOAD_INVALID", 408),
            (body(BodyError::Withdrawn), "DENIED", 403),
            (UploadError::TooLarge { limit_bytes: 1 }.into(), "SIZE_INVALID", 413),
            (UploadError::TooManyChunks { limit: 1 }.into(), "BLOB_UPLOAD_INVALID", 413),
            (BlobError::Unknown.into(), "BLOB_UNKNOWN", 404),
            (BlobError::InUse { manifest: digest }.into(), "UNSUPPORTED", 405),
            (quota().into(), "DENIED", 403),
            (immutable().into(), "DENIED", 403),
            (Refusal::DeletesOff { namespace: "a".to_owned() }.into(), "UNSUPPORTED", 405),
            (Refusal::Foreign { namespace: "a".to_owned() }.into(), "UNAVAILABLE", 503),
            (UploadError::Refused(Box::new(quota())).into(), "DENIED", 403),
            (ApiError::manifest_too_large(1), "SIZE_INVALID", 413),
            (ApiError::manifest_body(&BodyError::Disconnected), "MANIFEST_INVALID", 400),
            (ApiError::method("GET, HEAD"), "UNSUPPORTED", 405),
        ];
        for (error, code, status) in table {
            assert_eq!((error.code(), error.status().as_u16()), (code, status), "{error:?}");
            let needs_retry_after = matches!(status, 503 | 507);
            let has = |name: HeaderName| error.headers.iter().any(|(own, _)| *own == name);
            assert_eq!(has(RETRY_AFTER), needs_retry_after, "{error:?}");
            assert_eq!(has(ALLOW), status == 405, "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_body_is_the_specifications() {
        let digest: Digest = EMPTY.parse().unwrap();
        let response = ApiError::from(RegistryError::BlobsUnknown(vec![digest, digest])).into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"].as_array().unwrap().len(), 2);
        assert_eq!(body["errors"][1]["code"], "MANIFEST_BLOB_UNKNOWN");
        assert_eq!(body["errors"][1]["detail"]["digest"], EMPTY);
    }

    #[tokio::test]
    async fn a_refusal_says_which_policy_it_is() {
        let detail = async |refusal: Refusal| {
            let body = ApiError::from(refusal).into_response().into_body().collect().await.unwrap().to_bytes();
            serde_json::from_slice::<Value>(&body).unwrap()["errors"][0]["detail"].take()
        };
        let expected = json!({ "namespace": "a", "resource": "tags", "used": 3, "allowed": 3, "needed": 1 });
        assert_eq!(detail(quota()).await, expected);
        let expected = json!({ "tag": "v1", "digest": EMPTY, "namespace": "a", "pattern": "v*" });
        assert_eq!(detail(immutable()).await, expected);
    }

    #[tokio::test]
    async fn what_happened_inside_is_not_told() {
        let error = ApiError::from(UploadError::Internal { message: "secret path".to_owned() });
        assert_eq!(error.cause(), "secret path");
        let body = error.into_response().into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
    }
}
