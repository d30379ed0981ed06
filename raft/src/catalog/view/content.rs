//! Reads of what clients name: repositories, tags, manifests, referrers.

use storage::kv::{Bytes, Scan};

use super::View;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::{ManifestRecord, ReferrerRecord, RepositoryRecord, TagRecord};
use crate::catalog::table::{
    ManifestContents, ManifestParents, ManifestTags, ManifestUses, Manifests, Referrers, Repositories, Tags,
};
use crate::machine::State;
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// A repository; `None` when it has no content.
    pub fn repository(&self, repository: &RepositoryName) -> Result<Option<RepositoryRecord>, StateError> {
        Repositories::get(&self.state, repository)
    }

    /// Repositories with content in lexical order, behind `last`, which may be any text.
    pub fn repositories(&self, last: Option<&str>, limit: usize) -> Result<Vec<RepositoryName>, StateError> {
        let scan = behind_text(Scan::prefix(Repositories::COLUMN, &Repositories::key::<()>(()), limit), last);
        Ok(Repositories::rows(&self.state, &scan)?.into_iter().map(|(name, _)| name).collect())
    }

    /// Repositories with content in lexical order, from `first` on, which may be any text.
    pub fn repositories_from(&self, first: &str, limit: usize) -> Result<Vec<RepositoryName>, StateError> {
        let mut scan = Scan::prefix(Repositories::COLUMN, &Repositories::key::<()>(()), limit);
        scan.start = [scan.start.as_ref(), first.as_bytes()].concat().into();
        Ok(Repositories::rows(&self.state, &scan)?.into_iter().map(|(name, _)| name).collect())
    }

    /// A tag.
    pub fn tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<TagRecord>, StateError> {
        Tags::get(&self.state, (repository, tag))
    }

    /// Tags of a repository in lexical order, behind `last`, which may be any text.
    pub fn tags(&self, repository: &RepositoryName, last: Option<&str>, limit: usize) -> Result<Vec<Tag>, StateError> {
        let scan = Scan::prefix(Tags::COLUMN, &Tags::key::<RepositoryName>(repository), limit);
        let rows = Tags::rows(&self.state, &behind_text(scan, last))?;
        Ok(rows.into_iter().map(|((_, tag), _)| tag).collect())
    }

    /// Tags that point to a manifest, in lexical order, behind `after`.
    pub fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StateError> {
        let after = after.map(|after| (repository, digest, after));
        let rows = ManifestTags::scan::<(RepositoryName, Digest)>(&self.state, (repository, digest), after, limit)?;
        Ok(rows.into_iter().map(|((_, _, tag), ())| tag).collect())
    }

    /// A manifest without its bytes.
    pub fn manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<ManifestRecord>, StateError> {
        Manifests::get(&self.state, (repository, digest))
    }

    /// The exact bytes of a manifest.
    pub fn manifest_bytes(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Bytes>, StateError> {
        ManifestContents::get(&self.state, (repository, digest))
    }

    /// Manifests of a repository that use a blob, by digest.
    pub fn manifests_using(
        &self,
        repository: &RepositoryName,
        blob: &Digest,
        limit: usize,
    ) -> Result<Vec<Digest>, StateError> {
        let rows = ManifestUses::scan::<(RepositoryName, Digest)>(&self.state, (repository, blob), None, limit)?;
        Ok(rows.into_iter().map(|((_, _, manifest), ())| manifest).collect())
    }

    /// Indexes of a repository that list a manifest, by digest, behind `after`.
    pub fn parents(
        &self,
        repository: &RepositoryName,
        child: &Digest,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StateError> {
        let after = after.map(|after| (repository, child, after));
        let rows = ManifestParents::scan::<(RepositoryName, Digest)>(&self.state, (repository, child), after, limit)?;
        Ok(rows.into_iter().map(|((_, _, index), ())| index).collect())
    }

    /// Manifests that name `subject` as their subject, by digest, behind `after`. The subject need not exist.
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, ReferrerRecord)>, StateError> {
        let after = after.map(|after| (repository, subject, after));
        let rows = Referrers::scan::<(RepositoryName, Digest)>(&self.state, (repository, subject), after, limit)?;
        Ok(rows.into_iter().map(|((_, _, referrer), record)| (referrer, record)).collect())
    }
}

/// The scan, begun behind a text that need not be a valid name. Names end with a zero byte in keys: whatever the text
/// holds, what it is a prefix of sorts behind it.
fn behind_text(scan: Scan, last: Option<&str>) -> Scan {
    let Some(last) = last else { return scan };
    let mut key = scan.start.to_vec();
    key.extend_from_slice(last.as_bytes());
    key.push(0);
    scan.after(&key)
}
