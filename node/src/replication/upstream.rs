//! What is asked of the source of a copy: its questions, and content by digest or tag.
//!
//! A trait, so that tests of what is above it run without a second node.

use std::fmt::Debug;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Limited};
use raft::catalog::{Digest, RepositoryName, Tag};
use raft::id::RegionId;

use super::{FeedAnswer, FeedQuestion, PositionAnswer, PositionQuestion, QuestionError, SurveyAnswer, SurveyQuestion};
use super::{Question, ask};
use crate::environment::BoxFuture;
use crate::regions::{FetchRequest, ForwardError, Region, Regions, Scopes, UNREADABLE};

/// Largest manifest that is taken from a source: what `manifest.max_size_bytes` may be at most.
const MANIFEST_BYTES_MAX: usize = 16 << 20;
/// Header with the digest of what is answered.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Most bytes of an error that are told.
const ERROR_BYTES_MAX: usize = 200;

/// Why content could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The region does not answer, or has too much to do: nobody's failure, it is waited for.
    #[error("{0}")]
    Silent(String),
    /// It answers, and cannot give it.
    #[error("{0}")]
    Failed(String),
}

/// A manifest as the source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchedManifest {
    /// Digest that the source names; the bytes are not checked against it yet.
    pub(crate) digest: Digest,
    /// Media type by which it was pushed.
    pub(crate) media_type: String,
    /// Its bytes.
    pub(crate) bytes: Bytes,
}

/// Bytes on their way, unchecked. An error says why they broke off.
pub(crate) type Arriving = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// Bytes of a blob as they come.
pub(crate) struct FetchedBlob {
    /// Length of the whole blob, where the source tells it.
    pub(crate) length_bytes: Option<u64>,
    /// From the byte that was asked for on.
    pub(crate) bytes: Arriving,
}

/// What copies are made of.
pub(crate) trait Upstream: Debug + Send + Sync + 'static {
    /// The own region.
    fn own(&self) -> RegionId;

    /// What this region is to have copies of; `None` while it is not known.
    fn scopes(&self) -> Option<Scopes>;

    /// What has happened at the source.
    fn feed<'a>(
        &'a self,
        source: &'a Region,
        question: FeedQuestion,
    ) -> BoxFuture<'a, Result<FeedAnswer, QuestionError>>;

    /// What there is at the source.
    fn survey<'a>(
        &'a self,
        source: &'a Region,
        question: SurveyQuestion,
    ) -> BoxFuture<'a, Result<SurveyAnswer, QuestionError>>;

    /// How far the source has come.
    fn position<'a>(
        &'a self,
        source: &'a Region,
        question: PositionQuestion,
    ) -> BoxFuture<'a, Result<PositionAnswer, QuestionError>>;

    /// A manifest by its digest; `None` if the source has it no more.
    fn manifest<'a>(
        &'a self,
        source: &'a Region,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>>;

    /// What a tag points to at the source now.
    fn tag<'a>(
        &'a self,
        source: &'a Region,
        repository: &'a RepositoryName,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>>;

    /// Bytes of a blob from a place on, so many at most; `None` if the source has it no more.
    fn blob<'a>(
        &'a self,
        source: &'a Region,
        repository: &'a RepositoryName,
        digest: &'a Digest,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'a, Result<Option<FetchedBlob>, FetchError>>;
}

impl Upstream for Regions {
    fn own(&self) -> RegionId {
        Self::own(self)
    }

    fn scopes(&self) -> Option<Scopes> {
        Self::scopes(self)
    }

    fn feed<'a>(
        &'a self,
        source: &'a Region,
        question: FeedQuestion,
    ) -> BoxFuture<'a, Result<FeedAnswer, QuestionError>> {
        asked(self, source, question)
    }

    fn survey<'a>(
        &'a self,
        source: &'a Region,
        question: SurveyQuestion,
    ) -> BoxFuture<'a, Result<SurveyAnswer, QuestionError>> {
        asked(self, source, question)
    }

    fn position<'a>(
        &'a self,
        source: &'a Region,
        question: PositionQuestion,
    ) -> BoxFuture<'a, Result<PositionAnswer, QuestionError>> {
        asked(self, source, question)
    }

    fn manifest<'a>(
        &'a self,
        source: &'a Region,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>> {
        Box::pin(async move {
            let answer = self.fetch(source, FetchRequest::manifest(repository, digest)).await?;
            manifest_of(source, answer).await
        })
    }

    fn tag<'a>(
        &'a self,
        source: &'a Region,
        repository: &'a RepositoryName,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
        Box::pin(async move {
            let path = format!("/v2/{repository}/manifests/{tag}");
            let answer = self.fetch(source, FetchRequest { path, range: None }).await?;
            Ok(manifest_of(source, answer).await?.map(|manifest| manifest.digest))
        })
    }

    fn blob<'a>(
        &'a self,
        source: &'a Region,
        repository: &'a RepositoryName,
        digest: &'a Digest,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'a, Result<Option<FetchedBlob>, FetchError>> {
        Box::pin(async move {
            let start = range.start;
            let answer = self.fetch(source, FetchRequest::blob(repository, digest, Some(range))).await?;
            let length_bytes = match answer.status() {
                StatusCode::NOT_FOUND => return Ok(None),
                // Of nothing no range can be answered (RFC 9110, section 14.1.2), nor of what ends before it.
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                    header(&answer, &http::header::CONTENT_RANGE).and_then(total_of)
                }
                StatusCode::OK if start == 0 => {
                    header(&answer, &http::header::CONTENT_LENGTH).and_then(|text| text.parse().ok())
                }
                _ => return Err(unexpected(source, answer).await),
            };
            let is_empty = answer.status() == StatusCode::RANGE_NOT_SATISFIABLE;
            let body = if is_empty { axum::body::Body::empty() } else { answer.into_body() };
            let bytes = body.into_data_stream().map(|part| part.map_err(|error| error.to_string()));
            Ok(Some(FetchedBlob { length_bytes, bytes: Box::pin(bytes) }))
        })
    }
}

fn asked<'a, Q: Question + 'a>(
    regions: &'a Regions,
    source: &'a Region,
    question: Q,
) -> BoxFuture<'a, Result<Q::Answer, QuestionError>> {
    Box::pin(async move { ask(regions, source, &question).await })
}

impl From<ForwardError> for FetchError {
    fn from(error: ForwardError) -> Self {
        Self::Silent(error.to_string())
    }
}

fn header<'a>(answer: &'a Response<axum::body::Body>, name: &HeaderName) -> Option<&'a str> {
    answer.headers().get(name).map(HeaderValue::to_str)?.ok()
}

/// The length in `bytes 0-9/100` or `bytes */100`.
fn total_of(text: &str) -> Option<u64> {
    text.rsplit_once('/').and_then(|(_, total)| total.parse().ok())
}

async fn manifest_of(
    source: &Region,
    answer: Response<axum::body::Body>,
) -> Result<Option<FetchedManifest>, FetchError> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(unexpected(source, answer).await),
    }
    let digest = header(&answer, &CONTENT_DIGEST).and_then(|text| text.parse().ok());
    let media_type = header(&answer, &CONTENT_TYPE).unwrap_or_default().to_owned();
    let missing = || FetchError::Failed(format!("region {} answers without a digest", source.name));
    let digest = digest.ok_or_else(missing)?;
    let body = Limited::new(answer.into_body(), MANIFEST_BYTES_MAX).collect().await;
    let broken = |error| FetchError::Silent(format!("region {}: the answer broke off: {error}", source.name));
    Ok(Some(FetchedManifest { digest, media_type, bytes: body.map_err(broken)?.to_bytes() }))
}

/// What an answer means that has not what was asked for.
async fn unexpected(source: &Region, answer: Response<axum::body::Body>) -> FetchError {
    let is_busy = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    // It looks for its own leader, changes what it is, or has too much to do. What it says of one blob alone must not hold
    // up the others.
    if is_busy && !answer.headers().contains_key(UNREADABLE) {
        FetchError::Silent(said(source, answer).await)
    } else {
        FetchError::Failed(said(source, answer).await)
    }
}

/// What the source says instead.
async fn said(source: &Region, answer: Response<axum::body::Body>) -> String {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MANIFEST_BYTES_MAX).collect().await;
    let text = body.map(Collected::to_bytes).unwrap_or_default();
    let text: String = String::from_utf8_lossy(&text).trim().chars().take(ERROR_BYTES_MAX).collect();
    format!("region {} answers {status}: {text}", source.name)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Response;
    use raft::id::RegionId;

    use super::{FetchError, Region, UNREADABLE, total_of, unexpected};

    #[tokio::test]
    async fn who_has_no_leader_is_waited_for_and_one_unreadable_blob_holds_nothing_up() {
        let source = Region { id: RegionId(1), name: "eu".to_owned(), public_url: None };
        let is_waited_for = async |status: u16, is_unreadable: bool| {
            let mut answer = Response::builder().status(status);
            if is_unreadable {
                answer = answer.header(UNREADABLE, "1");
            }
            let error = unexpected(&source, answer.body(Body::empty()).unwrap()).await;
            matches!(error, FetchError::Silent(_))
        };
        assert!(is_waited_for(503, false).await && is_waited_for(429, false).await);
        assert!(
            !is_waited_for(503, true).await && !is_waited_for(500, false).await && !is_waited_for(405, false).await
        );
    }

    #[test]
    fn the_length_of_a_blob_is_told_with_a_part_of_it() {
        assert_eq!((total_of("bytes 0-9/100"), total_of("bytes */0")), (Some(100), Some(0)));
        assert_eq!((total_of("bytes 0-9/*"), total_of("")), (None, None));
    }
}
