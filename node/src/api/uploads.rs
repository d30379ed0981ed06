//! Upload sessions in every dialect (distribution-spec 1.1, "Pushing blobs"): POST and PUT, POST alone, PATCHes with and
//! without ranges, mounts.
//!
//! Any node may be asked about any session. What is committed is the gateway's to say; a request whose body breaks
//! off has committed nothing.

use http::header::CONTENT_RANGE;
use http::{HeaderMap, StatusCode};
use raft::catalog::{Algorithm, Digest, InvalidName, RepositoryName, SessionId};
use raft::directory::Action;

use super::error::{ApiError, Code};
use super::inbound::Inbound;
use super::range::{InvalidChunk, chunk};
use super::record::Change;
use super::visitor::Visitor;
use super::{Answer, Api, Head, headers};
use crate::gateway::{BodyError, Gateway, UploadError};
use crate::registry::compute;
use crate::tenant::Tenant;

/// Most repositories that are looked at for one that a blob can be mounted from, when the client names none.
const SOURCES_MAX: usize = 100;

impl Api {
    /// `POST /v2/<name>/blobs/uploads/`, with `?mount=&from=`, `?digest=` or `?digest-algorithm=`
    pub(super) async fn start_upload(&self, repository: &RepositoryName, head: &Head, body: Inbound) -> Answer {
        let mount = digest_of(head, "mount")?;
        let digest = digest_of(head, "digest")?;
        let algorithm = algorithm_of(head, digest.or(mount))?;
        if let Some(mount) = mount
            && self.mount(repository, &mount, head).await?
        {
            return Ok(created(repository, &mount));
        }
        match digest {
            // Without a body it is the beginning of an upload whose digest is known already.
            Some(digest) if !body.is_empty() || digest == compute(digest.algorithm(), b"") => {
                self.push_at_once(repository, digest, head, body).await
            }
            _ => {
                let begun = self.gateway.start_upload(repository, algorithm, head.principal()).await;
                let upload = begun.map_err(ApiError::from)?;
                Ok(stands(StatusCode::ACCEPTED, repository, upload.session, upload.offset_bytes))
            }
        }
    }

    /// `GET /v2/<name>/blobs/uploads/<session>`
    pub(super) async fn upload_status(&self, repository: &RepositoryName, session: SessionId) -> Answer {
        let upload = self.gateway.upload(repository, session).await.map_err(ApiError::from)?;
        Ok(stands(StatusCode::NO_CONTENT, repository, session, upload.offset_bytes))
    }

    /// `PATCH /v2/<name>/blobs/uploads/<session>`
    pub(super) async fn patch_upload(
        &self,
        repository: &RepositoryName,
        session: SessionId,
        head: &Head,
        body: Inbound,
    ) -> Answer {
        let (at, body) = self.chunk(repository, session, head, body).await?;
        self.check_room(repository, at, &body)?;
        let body = body.claimed(Self::claim(head, repository, &[Action::Push]));
        let upload = match self.gateway.append(repository, session, at, Box::pin(body)).await {
            Err(UploadError::Body(BodyError::Withdrawn)) => {
                return Err(self.withdrawn(head, repository, &[Action::Push]).await);
            }
            upload => upload.map_err(|error| refuse(error, repository, session))?,
        };
        Ok(stands(StatusCode::ACCEPTED, repository, session, upload.offset_bytes))
    }

    /// `PUT /v2/<name>/blobs/uploads/<session>?digest=`
    pub(super) async fn finish_upload(
        &self,
        repository: &RepositoryName,
        session: SessionId,
        head: &Head,
        body: Inbound,
    ) -> Answer {
        let Some(digest) = digest_of(head, "digest")? else {
            return Err(ApiError::new(Code::DigestInvalid, "the parameter digest is missing"));
        };
        let (at, body) = self.chunk(repository, session, head, body).await?;
        self.check_room(repository, at, &body)?;
        let body = body.then_onward(&head.onward).claimed(Self::claim(head, repository, &[Action::Push]));
        let finished = self.gateway.finish(repository, session, at, digest, Box::pin(body)).await;
        if let Err(UploadError::Body(BodyError::Withdrawn)) = finished {
            return Err(self.withdrawn(head, repository, &[Action::Push]).await);
        }
        let finished = finished.map_err(|error| refuse(error, repository, session));
        self.record_blob(head, repository, &digest, "", finished.as_ref().map(|_| ())).await;
        finished?;
        Ok(created(repository, &digest))
    }

    /// `DELETE /v2/<name>/blobs/uploads/<session>`
    pub(super) async fn cancel_upload(&self, repository: &RepositoryName, session: SessionId) -> Answer {
        self.gateway.cancel_upload(repository, session).await.map_err(ApiError::from)?;
        Ok(headers::empty(StatusCode::NO_CONTENT))
    }

    /// Whether the blob could be mounted. From a repository that cannot exist, it cannot: the client uploads it then. From
    /// one that he may not read it is as if that did not exist, and without one only those count that he may read.
    async fn mount(&self, repository: &RepositoryName, digest: &Digest, head: &Head) -> Result<bool, ApiError> {
        let Some(visitor) = &head.visitor else { return Ok(false) };
        let from = match head.query().get("from").map(|from| from.parse::<RepositoryName>()) {
            Some(Err(_)) => return Ok(false),
            Some(Ok(from)) => visitor.may(Action::Pull, &from).then_some(from),
            None => self.readable_source(visitor, digest, head.tenant.as_ref()).await?,
        };
        let Some(from) = from else { return Ok(false) };
        let principal = visitor.principal();
        self.confirm(head, repository, &[Action::Push]).await?;
        self.confirm(head, &from, &[Action::Pull]).await?;
        head.onward.begin();
        let mounted = self.gateway.mount_blob(repository, digest, Some(&from), principal.as_deref()).await;
        let mounted = mounted.map_err(ApiError::from);
        if !matches!(mounted, Ok(None)) {
            let detail = format!("mounted from {from}");
            self.record_blob(head, repository, digest, &detail, mounted.as_ref().map(|_| ())).await;
        }
        Ok(mounted?.is_some())
    }

    /// A repository that has the blob and that the visitor may read. Of a blob that very many have, not all are looked at:
    /// the client uploads it then.
    /// At the domain of a tenant only its own count.
    async fn readable_source(
        &self,
        visitor: &Visitor,
        digest: &Digest,
        tenant: Option<&Tenant>,
    ) -> Result<Option<RepositoryName>, ApiError> {
        let found = self.gateway.repositories_with(digest, SOURCES_MAX).await?;
        let is_named = |name: &RepositoryName| tenant.is_none_or(|tenant| tenant.has(name.as_str()));
        Ok(found.into_iter().find(|name| is_named(name) && visitor.may(Action::Pull, name)))
    }

    async fn record_blob(
        &self,
        head: &Head,
        repository: &RepositoryName,
        digest: &Digest,
        detail: &str,
        outcome: Result<(), &ApiError>,
    ) {
        self.record(head, Change::blob(repository, digest, detail), Some(digest), outcome).await;
    }

    /// Begins and finishes an upload with one body.
    async fn push_at_once(&self, repository: &RepositoryName, digest: Digest, head: &Head, body: Inbound) -> Answer {
        self.check_room(repository, None, &body)?;
        let begun = self.gateway.start_upload(repository, digest.algorithm(), head.principal()).await;
        let upload = begun.map_err(ApiError::from)?;
        // Nobody knows this session: if the push fails or the client goes away, it has to go as well.
        let mut abandoned = Abandoned::new(self.gateway.clone(), repository.clone(), upload.session);
        let body = body.then_onward(&head.onward).claimed(Self::claim(head, repository, &[Action::Push]));
        let finished = self.gateway.finish(repository, upload.session, Some(0), digest, Box::pin(body)).await;
        if finished.is_ok() {
            abandoned.keep();
        }
        if let Err(UploadError::Body(BodyError::Withdrawn)) = finished {
            return Err(self.withdrawn(head, repository, &[Action::Push]).await);
        }
        let finished = finished.map_err(ApiError::from);
        self.record_blob(head, repository, &digest, "", finished.as_ref().map(|_| ())).await;
        finished?;
        Ok(created(repository, &digest))
    }

    /// Refuses what can never fit before its bytes are taken in, as far as the request says how many there will be.
    fn check_room(&self, repository: &RepositoryName, at: Option<u64>, body: &Inbound) -> Result<(), ApiError> {
        let Some(announced) = body.expected_bytes() else { return Ok(()) };
        Ok(self.gateway.check_room(repository, at.unwrap_or(0).saturating_add(announced))?)
    }

    /// Where a chunk begins, if the request says so, and its bytes.
    async fn chunk(
        &self,
        repository: &RepositoryName,
        session: SessionId,
        head: &Head,
        body: Inbound,
    ) -> Result<(Option<u64>, Inbound), ApiError> {
        let Some(range) = content_range(&head.parts.headers) else { return Ok((None, body)) };
        match range {
            Ok(range) => {
                let bytes = range.end - range.start;
                match body.expected_bytes() {
                    Some(announced) if announced != bytes => {
                        let message = format!("Content-Range speaks of {bytes} bytes, Content-Length of {announced}");
                        Err(ApiError::new(Code::SizeInvalid, message))
                    }
                    _ => Ok((Some(range.start), body.expecting(bytes))),
                }
            }
            Err(InvalidChunk::Malformed) => {
                Err(ApiError::new(Code::BlobUploadInvalid, "Content-Range must be <first byte>-<last byte>"))
            }
            Err(InvalidChunk::Backwards) => {
                let upload = self.gateway.upload(repository, session).await.map_err(ApiError::from)?;
                Err(refuse(UploadError::RangeMismatch { offset_bytes: upload.offset_bytes }, repository, session))
            }
        }
    }
}

/// Cancels a session when it is dropped.
struct Abandoned {
    session: Option<(Gateway, RepositoryName, SessionId)>,
}

impl Abandoned {
    fn new(gateway: Gateway, repository: RepositoryName, session: SessionId) -> Self {
        Self { session: Some((gateway, repository, session)) }
    }

    fn keep(&mut self) {
        self.session = None;
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        let (Some((gateway, repository, session)), Ok(runtime)) =
            (self.session.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            // Should this fail, the session expires.
            if let Err(error) = gateway.cancel_upload(&repository, session).await {
                tracing::debug!(%error, %repository, %session, "cannot cancel the session of a failed upload");
            }
        });
    }
}

fn content_range(headers: &HeaderMap) -> Option<Result<std::ops::Range<u64>, InvalidChunk>> {
    let text = headers.get(CONTENT_RANGE)?.to_str().map_err(|_| InvalidChunk::Malformed);
    Some(text.and_then(chunk))
}

fn digest_of(head: &Head, parameter: &str) -> Result<Option<Digest>, ApiError> {
    let invalid = |error: InvalidName| ApiError::new(Code::DigestInvalid, error.to_string());
    head.query().get(parameter).map(|text| text.parse().map_err(invalid)).transpose()
}

/// The algorithm that the client announces, or that of a digest it names (drafts of distribution-spec 1.2).
fn algorithm_of(head: &Head, named: Option<Digest>) -> Result<Algorithm, ApiError> {
    let invalid = |error: InvalidName| ApiError::new(Code::DigestInvalid, error.to_string());
    match head.query().get("digest-algorithm") {
        Some(text) => text.parse().map_err(invalid),
        None => Ok(named.map_or(Algorithm::Sha256, |digest| digest.algorithm())),
    }
}

fn stands(
    status: StatusCode,
    repository: &RepositoryName,
    session: SessionId,
    offset_bytes: u64,
) -> http::Response<axum::body::Body> {
    let mut response = headers::empty(status);
    headers::set_upload(response.headers_mut(), repository, session, offset_bytes);
    response
}

fn created(repository: &RepositoryName, digest: &Digest) -> http::Response<axum::body::Body> {
    let mut response = headers::empty(StatusCode::CREATED);
    headers::set_location(response.headers_mut(), headers::blob_path(repository, digest));
    response.headers_mut().insert(headers::CONTENT_DIGEST, headers::value(digest.to_string()));
    response
}

/// An error of a session that goes on: where it stands, so that the client can go on there.
fn refuse(error: UploadError, repository: &RepositoryName, session: SessionId) -> ApiError {
    let offset_bytes = match error {
        UploadError::RangeMismatch { offset_bytes } | UploadError::Moved { offset_bytes } => Some(offset_bytes),
        _ => None,
    };
    let mut error = ApiError::from(error);
    if let Some(offset_bytes) = offset_bytes {
        let mut headers = HeaderMap::new();
        headers::set_upload(&mut headers, repository, session, offset_bytes);
        for (name, value) in &headers {
            error = error.with_header(name.clone(), value.clone());
        }
    }
    error
}
