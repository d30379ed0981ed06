//! Content that this region copies, fetched from the region that has it: over the same connections as clients' requests,
//! with places of its own, so that neither keeps the other one waiting.
//!
//! The answer is the other region's own, whatever it is for the namespace: that something is not there is said only where
//! it is owned. What is fetched counts as no pull.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use http::header::RANGE;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use raft::catalog::{Digest, RepositoryName};
use tokio::time::timeout;
use tracing::debug;

use super::body::Received;
use super::metrics::Traffic;
use super::{ForwardError, Region, Regions};
use crate::peer::PeerError;

/// Header of a request that a region makes for its own copy.
pub(crate) const REPLICATION: HeaderName = HeaderName::from_static("regnode-replication");
/// Header of an answer to one: what was asked for is there, and too little of it can be read now. Without it `503 Service
/// Unavailable` is said of everything.
pub(crate) const UNREADABLE: HeaderName = HeaderName::from_static("regnode-unreadable");

/// Most requests that are under way to a region at one time.
pub(super) const FETCHES_MAX: usize = 32;
/// How long a request waits for one of them to end.
const WAIT: Duration = Duration::from_secs(10);
/// Longest time until an answer begins. How long its body may rest is the taker's to say.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// What is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchRequest {
    /// Path of the registry's API.
    pub(crate) path: String,
    /// The bytes that are wanted; all of them if it is left out.
    pub(crate) range: Option<Range<u64>>,
}

impl FetchRequest {
    /// A manifest, by its digest.
    pub(crate) fn manifest(repository: &RepositoryName, digest: &Digest) -> Self {
        Self { path: format!("/v2/{repository}/manifests/{digest}"), range: None }
    }

    /// A blob, whole or in part. A range that ends at `u64::MAX` goes to its end.
    pub(crate) fn blob(repository: &RepositoryName, digest: &Digest, range: Option<Range<u64>>) -> Self {
        Self { path: format!("/v2/{repository}/blobs/{digest}"), range }
    }

    fn request(&self, uri: &Uri) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(REPLICATION, HeaderValue::from_static("1"));
        if let Some(Range { start, end }) = self.range.as_ref().filter(|range| !range.is_empty()) {
            let text = if *end == u64::MAX { format!("bytes={start}-") } else { format!("bytes={start}-{}", end - 1) };
            if let Ok(value) = HeaderValue::try_from(text) {
                request.headers_mut().insert(RANGE, value);
            }
        }
        request
    }
}

impl Regions {
    /// Asks a region for content that this one is to have a copy of. `404 Not Found` says that it is not there at home;
    /// every other status than `200 OK` and `206 Partial Content` says nothing about it.
    pub(crate) async fn fetch(&self, region: &Region, request: FetchRequest) -> Result<Response<Body>, ForwardError> {
        let answer = self.fetch_from_any(region, &request).await;
        if let Err(error) = &answer {
            self.metrics().request(Traffic::Fetched, &region.name, error.outcome());
        }
        answer
    }

    async fn fetch_from_any(&self, region: &Region, request: &FetchRequest) -> Result<Response<Body>, ForwardError> {
        let name = || region.name.clone();
        let uri: Uri = request.path.parse().map_err(|_| ForwardError::Lost { region: name() })?;
        let Ok(Ok(permit)) = timeout(WAIT, self.slots(Traffic::Fetched, region.id).acquire_owned()).await else {
            return Err(ForwardError::Busy { region: name() });
        };
        let mut error = ForwardError::Unreachable { region: name() };
        for node in self.nodes_of(region) {
            let asked = timeout(HEAD_DEADLINE, self.neighbours().forward(node, request.request(&uri)));
            match asked.await.unwrap_or(Err(PeerError::Timeout { node })) {
                Ok(answer) => {
                    let metrics = (self.metrics().clone(), Traffic::Fetched);
                    return Ok(answer.map(|body| Body::new(Received::new(body, metrics, &region.name, permit))));
                }
                Err(failed) => {
                    debug!(%node, error = %failed, region = region.name, "a node of the source region does not answer");
                    self.report(&failed);
                    error = ForwardError::of(&failed, name());
                }
            }
        }
        Err(error)
    }
}
