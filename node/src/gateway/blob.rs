//! Blobs: whether they exist, their bytes, their links.

use raft::catalog::{BlobRecord, Command, Digest, RepositoryName, Response};

use super::Gateway;
use super::catalog::CatalogError;
use super::error::BlobError;
use super::loss::is_lost;
use super::read::Blob;

impl Gateway {
    /// Length of a blob, if a client of the repository may know it. A blob that nothing references is touched first,
    /// so that it stays until the client has pushed its manifest. One whose bytes are lost is unknown, so that the client
    /// pushes it again.
    ///
    /// # Errors
    /// [`BlobError::Unknown`] and [`BlobError::Unavailable`].
    pub async fn stat_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<u64, BlobError> {
        self.core.records.barrier().await?;
        let blob = self.linked_blob(repository, digest)?.ok_or(BlobError::Unknown)?;
        if is_lost(&self.core, blob.object)? {
            return Err(BlobError::Unknown);
        }
        if self.needs_touch(repository, digest)? {
            let command = Command::TouchBlob { repository: repository.clone(), digest: *digest };
            match self.core.propose(command).await? {
                Response::Done => {}
                Response::BlobUnknown => return Err(BlobError::Unknown),
                response => return Err(BlobError::other(&response)),
            }
        }
        Ok(blob.length_bytes)
    }

    /// A blob to read. What this replica knows is served at once; only "unknown" is said after asking the leader.
    ///
    /// # Errors
    /// [`BlobError::Unknown`] and [`BlobError::Unavailable`].
    pub async fn open_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Blob, BlobError> {
        let local = self.linked_blob(repository, digest)?;
        let blob = if let Some(blob) = local {
            blob
        } else {
            self.core.records.barrier().await?;
            self.linked_blob(repository, digest)?.ok_or(BlobError::Unknown)?
        };
        Ok(Blob::new(self.core.clone(), *digest, &blob))
    }

    /// Links a blob that exists in `from`, or in any repository, to this one too. `None` when there is none to link, or its
    /// bytes are lost.
    ///
    /// # Errors
    /// [`BlobError::Refused`] and [`BlobError::Unavailable`].
    pub async fn mount_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
        principal: Option<&str>,
    ) -> Result<Option<u64>, BlobError> {
        if let Some(blob) = self.core.records.view().blob(digest).map_err(CatalogError::from)?
            && is_lost(&self.core, blob.object)?
        {
            return Ok(None);
        }
        let (repository, from) = (repository.clone(), from.cloned());
        let command =
            Command::MountBlob { repository, digest: *digest, from, principal: principal.map(ToOwned::to_owned) };
        match self.core.propose(command).await? {
            Response::Mounted { length_bytes } => Ok(Some(length_bytes)),
            Response::BlobUnknown => Ok(None),
            response => Err(BlobError::other(&response)),
        }
    }

    /// Repositories that have a blob, in order, at most `limit`. None is said after asking the leader.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn repositories_with(&self, digest: &Digest, limit: usize) -> Result<Vec<RepositoryName>, BlobError> {
        let found = self.linking(digest, limit).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.core.records.barrier().await?;
        Ok(self.linking(digest, limit).await?)
    }

    async fn linking(&self, digest: &Digest, limit: usize) -> Result<Vec<RepositoryName>, CatalogError> {
        let (view, digest) = (self.core.records.view(), *digest);
        Ok(self.core.exec.run(move || view.repositories_of(&digest, None, limit)).await?)
    }

    /// Removes the repository's link to a blob.
    ///
    /// # Errors
    /// [`BlobError::Unknown`], [`BlobError::InUse`], [`BlobError::Refused`] and [`BlobError::Unavailable`].
    pub async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        principal: Option<String>,
    ) -> Result<(), BlobError> {
        let command = Command::UnlinkBlob { repository: repository.clone(), digest: *digest, principal };
        match self.core.propose(command).await? {
            Response::Done => Ok(()),
            Response::BlobUnknown => Err(BlobError::Unknown),
            Response::BlobInUse { manifest } => Err(BlobError::InUse { manifest }),
            response => Err(BlobError::other(&response)),
        }
    }

    fn linked_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<BlobRecord>, CatalogError> {
        Ok(self.core.records.view().linked_blob(repository, digest)?)
    }

    /// Touches are coalesced: one without which the blob stays for a whole grace from now on is not proposed.
    fn needs_touch(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, CatalogError> {
        Ok(self.core.records.view().needs_touch(repository, digest, self.core.clock.now())?)
    }
}
