//! What tags pointed to, what was deleted of late, and how it comes back.

use raft::catalog::{Command, Digest, RepositoryName, Response, RestoreTarget, Tag, TagChange, TombstoneRecord};
use raft::time::Timestamp;

use super::{Deletion, DeletionError};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The manifest.
    pub digest: Digest,
    /// Tags that were set on it.
    pub tags: Vec<Tag>,
}

/// Deleted tags of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTags {
    /// The tags, each with the change that deleted it.
    pub tags: Vec<(Tag, TagChange)>,
    /// Seconds for which each can be restored.
    pub restore_seconds: u64,
    /// The catalog's time.
    pub now: Timestamp,
}

impl Deletion {
    /// Changes of a tag, the newest first. What it says of a tag that was deleted goes after a while.
    pub async fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        limit: usize,
    ) -> Result<Vec<TagChange>, DeletionError> {
        let (repository, tag) = (repository.clone(), tag.clone());
        let changes = self.read(move |view| view.tag_history(&repository, &tag, limit)).await?;
        Ok(changes.into_iter().map(|(_revision, change)| change).collect())
    }

    /// Deleted tags whose history is kept, by name, behind `after`.
    pub async fn deleted_tags(
        &self,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<DeletedTags, DeletionError> {
        let (repository, after) = (repository.clone(), after.cloned());
        self.read(move |view| {
            Ok(DeletedTags {
                tags: view.deleted_tags(&repository, after.as_ref(), limit)?,
                restore_seconds: view.policy(&repository)?.0.restore_seconds,
                now: view.clock()?,
            })
        })
        .await
    }

    /// Deleted manifests that can be restored, by digest, behind `after`.
    pub async fn tombstones(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, TombstoneRecord)>, DeletionError> {
        let (repository, after) = (repository.clone(), after.copied());
        self.read(move |view| view.tombstones(&repository, after.as_ref(), limit)).await
    }

    /// Takes a deletion back: of a manifest with the tags that were deleted with it and are free, or of a tag.
    pub async fn restore(
        &self,
        repository: &RepositoryName,
        target: RestoreTarget,
        principal: Option<String>,
    ) -> Result<Restored, DeletionError> {
        let named = match &target {
            RestoreTarget::Manifest(digest) => format!("manifest {digest}"),
            RestoreTarget::Tag(tag) => format!("tag {tag}"),
        };
        let command = Command::Restore { repository: repository.clone(), target, principal };
        match self.core.propose(command).await? {
            Response::Restored { digest, tags } => Ok(Restored { digest, tags }),
            Response::NothingToRestore => Err(DeletionError::Unknown(format!(
                "there is nothing to restore of {named} in {repository}: it exists, was never deleted, or the time in \
                 which it could be restored (restore_seconds of its namespace) is over"
            ))),
            Response::ManifestBlobsUnknown { digests } => {
                let digests: Vec<String> = digests.iter().map(ToString::to_string).collect();
                Err(DeletionError::Conflict(format!(
                    "{named} in {repository} cannot be restored, these of its blobs are gone: {}; push it again",
                    digests.join(", ")
                )))
            }
            response => Err(DeletionError::other(&response)),
        }
    }
}
