//! Upload sessions: begun, continued through any node, published, cancelled.

use raft::catalog::{
    Advance, Algorithm, Command, Digest, RepositoryName, Response, SessionId, StartUpload, UPLOAD_EXTENTS_MAX,
    UploadRecord,
};
use storage::shard::{ExtentIndex, ObjectId};

use super::catalog::CatalogError;
use super::error::UploadError;
use super::hash::RunningDigest;
use super::room::Room;
use super::write::{Outcome, Purpose, UploadTask};
use super::{Body, Gateway};

/// Where an upload session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The session.
    pub session: SessionId,
    /// Committed bytes.
    pub offset_bytes: u64,
}

/// A blob that an upload became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub length_bytes: u64,
}

impl Gateway {
    /// Begins an upload session. Refused before anything is written when there is no safe place for its bytes.
    ///
    /// # Errors
    /// [`UploadError::NoSpace`] and [`UploadError::Unavailable`].
    pub async fn start_upload(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
        principal: Option<String>,
    ) -> Result<Upload, UploadError> {
        self.start_session(SessionId(self.core.entropy.id()), repository, algorithm, principal).await
    }

    /// The same under an id that says what comes, so that whoever goes on with it finds it again. A session of this id
    /// that another one has begun meanwhile is [`UploadError::Unavailable`]: look again where it stands.
    pub(crate) async fn start_session(
        &self,
        session: SessionId,
        repository: &RepositoryName,
        algorithm: Algorithm,
        principal: Option<String>,
    ) -> Result<Upload, UploadError> {
        let _running = self.core.begin()?;
        let object = ObjectId(self.core.entropy.id());
        self.core.place(&std::collections::BTreeSet::new(), object, ExtentIndex(0))?;
        let command = Command::StartUpload(StartUpload {
            session,
            object,
            repository: repository.clone(),
            principal,
            algorithm,
            hash_state: RunningDigest::new(algorithm).state().into(),
            lifetime_seconds: self.core.options.upload_lifetime_seconds,
        });
        match self.core.propose(command).await? {
            Response::Uploaded { position } => Ok(Upload { session, offset_bytes: position.offset_bytes }),
            Response::Stale => Err(UploadError::unavailable("the upload was begun by somebody else just now")),
            response => Err(UploadError::other(&response)),
        }
    }

    /// Refuses an upload of so many bytes that no deletion could make room for, before any of them is taken in.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`], [`UploadError::Refused`] and [`UploadError::Unavailable`].
    pub fn check_room(&self, repository: &RepositoryName, length_bytes: u64) -> Result<(), UploadError> {
        Room::of(&self.core, repository, None, 0)?.check(length_bytes)
    }

    /// Where a session stands, as of now.
    ///
    /// # Errors
    /// [`UploadError::Unknown`], also for a session that was published, and [`UploadError::Unavailable`].
    pub async fn upload(&self, repository: &RepositoryName, session: SessionId) -> Result<Upload, UploadError> {
        let record = self.session(repository, session).await?;
        if record.finished.is_some() {
            return Err(UploadError::Unknown);
        }
        Ok(Upload { session, offset_bytes: record.position.offset_bytes })
    }

    /// Adds bytes to a session: all of the body or nothing. `at` is where the client believes the session to stand.
    ///
    /// # Errors
    /// All of [`UploadError`] but a digest mismatch.
    pub async fn append(
        &self,
        repository: &RepositoryName,
        session: SessionId,
        at: Option<u64>,
        body: Body,
    ) -> Result<Upload, UploadError> {
        let _running = self.core.begin()?;
        let record = self.session(repository, session).await?;
        if record.finished.is_some() {
            return Err(UploadError::Unknown);
        }
        check_offset(&record, at)?;
        let object = self.core.records.view().object(record.object).map_err(CatalogError::from)?;
        if object.is_some_and(|object| object.extents >= UPLOAD_EXTENTS_MAX) {
            // Said before the body is taken in, in vain.
            return Err(UploadError::TooManyChunks { limit: UPLOAD_EXTENTS_MAX });
        }
        let hash = RunningDigest::resume(&record.hash_state).map_err(UploadError::internal)?;
        match self.write(session, record, hash, Purpose::Append, body).await? {
            Outcome::Advanced { offset_bytes } => Ok(Upload { session, offset_bytes }),
            Outcome::Published { .. } => Err(UploadError::internal("an append was published")),
        }
    }

    /// Adds the last bytes, if any, verifies the digest of the whole and publishes it. Repeating it after a lost
    /// answer gives the same answer.
    ///
    /// # Errors
    /// All of [`UploadError`]. After [`UploadError::DigestMismatch`] the session stands where it stood before.
    pub async fn finish(
        &self,
        repository: &RepositoryName,
        session: SessionId,
        at: Option<u64>,
        digest: Digest,
        body: Body,
    ) -> Result<Published, UploadError> {
        let _running = self.core.begin()?;
        let record = self.session(repository, session).await?;
        if record.finished.is_some() {
            return self.finish_again(session, record, digest).await;
        }
        check_offset(&record, at)?;
        // Before the first byte the algorithm can still be chosen; later another one costs reading everything back.
        let hash = if record.position.offset_bytes == 0 {
            RunningDigest::new(digest.algorithm())
        } else {
            RunningDigest::resume(&record.hash_state).map_err(UploadError::internal)?
        };
        match self.write(session, record, hash, Purpose::Publish(digest), body).await? {
            Outcome::Published { length_bytes } => Ok(Published { digest, length_bytes }),
            Outcome::Advanced { .. } => Err(UploadError::internal("a publish was not published")),
        }
    }

    /// The session was published before. The catalog says whether as this blob, and renews the blob's grace.
    async fn finish_again(
        &self,
        session: SessionId,
        record: UploadRecord,
        digest: Digest,
    ) -> Result<Published, UploadError> {
        let advance = Advance {
            expected: record.position,
            hash_state: record.hash_state,
            extents: Vec::new(),
            replaced: Vec::new(),
            parity: 0,
            lifetime_seconds: self.core.options.upload_lifetime_seconds,
        };
        match self.core.propose(Command::FinishUpload { session, advance, digest }).await? {
            Response::Published { length_bytes, .. } => Ok(Published { digest, length_bytes }),
            Response::UploadUnknown => Err(UploadError::Unknown),
            response => Err(UploadError::other(&response)),
        }
    }

    /// Whether this principal has begun the session: nobody else learns of it or goes on with it. That never changes, so
    /// that what this replica knows is enough.
    ///
    /// # Errors
    /// [`UploadError::Unknown`] for somebody else's session as for one that does not exist, and
    /// [`UploadError::Unavailable`].
    pub async fn check_owner(
        &self,
        repository: &RepositoryName,
        session: SessionId,
        principal: Option<&str>,
    ) -> Result<(), UploadError> {
        let local = self.core.records.view().upload(session).map_err(CatalogError::from)?;
        let record = match local {
            Some(record) if record.repository == *repository => record,
            _ => self.session(repository, session).await?,
        };
        if record.principal.as_deref() == principal { Ok(()) } else { Err(UploadError::Unknown) }
    }

    /// Ends a session; its bytes are removed.
    ///
    /// # Errors
    /// [`UploadError::Unknown`] and [`UploadError::Unavailable`].
    pub async fn cancel_upload(&self, repository: &RepositoryName, session: SessionId) -> Result<(), UploadError> {
        let command = Command::CancelUpload { session, repository: repository.clone() };
        match self.core.propose(command).await? {
            Response::Done => Ok(()),
            Response::UploadUnknown => Err(UploadError::Unknown),
            response => Err(UploadError::other(&response)),
        }
    }

    async fn session(&self, repository: &RepositoryName, session: SessionId) -> Result<UploadRecord, UploadError> {
        self.core.records.barrier().await?;
        let record = self.core.records.view().upload(session).map_err(CatalogError::from)?;
        record.filter(|record| record.repository == *repository).ok_or(UploadError::Unknown)
    }

    async fn write(
        &self,
        session: SessionId,
        record: UploadRecord,
        hash: RunningDigest,
        purpose: Purpose,
        body: Body,
    ) -> Result<Outcome, UploadError> {
        // Read after the session: if another request came between, the commit is refused.
        let object = self.core.records.view().object(record.object).map_err(CatalogError::from)?;
        let extents = object.ok_or(UploadError::Unknown)?.extents;
        let (principal, offset_bytes) = (record.principal.as_deref(), record.position.offset_bytes);
        let room = Room::of(&self.core, &record.repository, principal, offset_bytes)?;
        UploadTask::begin(&self.core, session, record, extents, hash, purpose).receive(body, &room).await
    }
}

fn check_offset(record: &UploadRecord, at: Option<u64>) -> Result<(), UploadError> {
    let offset_bytes = record.position.offset_bytes;
    match at {
        Some(at) if at != offset_bytes => Err(UploadError::RangeMismatch { offset_bytes }),
        _ => Ok(()),
    }
}
