//! Reads of the past: histories of tags, deleted manifests, pulls; and of manifests that nothing holds.

use storage::kv::{Direction, Scan};

use super::View;
use crate::catalog::garbage::UnheldRecord;
use crate::catalog::history::{TagChange, TombstoneRecord};
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::table::{GarbageDeadlines, Pulls, TagHistory, Tombstones, UnheldManifests};
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

impl<S: State> View<S> {
    /// Changes of a tag with their revisions, the newest first. A deleted tag's are kept for a while.
    pub fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        limit: usize,
    ) -> Result<Vec<(u64, TagChange)>, StateError> {
        let prefix = TagHistory::key::<(RepositoryName, Tag)>((repository, tag));
        let scan = Scan { direction: Direction::Reverse, ..Scan::prefix(TagHistory::COLUMN, &prefix, limit) };
        let rows = TagHistory::rows(&self.state, &scan)?;
        Ok(rows.into_iter().map(|((_, _, revision), change)| (revision, change)).collect())
    }

    /// Deleted tags of a repository in lexical order, behind `after`, each with the change that deleted it. Their history
    /// is kept for a while; costs what it finds.
    pub fn deleted_tags(
        &self,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<(Tag, TagChange)>, StateError> {
        let mut deleted = Vec::new();
        for tag in GarbageDeadlines::deleted_tags(&self.state, repository, after, limit)? {
            if let Some((_, change)) = self.tag_history(repository, &tag, 1)?.into_iter().next() {
                deleted.push((tag, change));
            }
        }
        Ok(deleted)
    }

    /// A deleted manifest. One whose time has passed is there until it is collected, and cannot be restored.
    pub fn tombstone(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<TombstoneRecord>, StateError> {
        Tombstones::get(&self.state, (repository, digest))
    }

    /// Deleted manifests of a repository by digest, behind `after`.
    pub fn tombstones(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, TombstoneRecord)>, StateError> {
        let after = after.map(|after| (repository, after));
        let rows = Tombstones::scan::<RepositoryName>(&self.state, repository, after, limit)?;
        Ok(rows.into_iter().map(|((_, digest), record)| (digest, record)).collect())
    }

    /// When a manifest was last pulled, as far as the catalog was told; `None` if it never was.
    pub fn pulled(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Timestamp>, StateError> {
        Pulls::get(&self.state, (repository, digest))
    }

    /// Since when and why nothing holds a manifest; `None` if something does.
    pub fn unheld(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<UnheldRecord>, StateError> {
        UnheldManifests::get(&self.state, (repository, digest))
    }
}
