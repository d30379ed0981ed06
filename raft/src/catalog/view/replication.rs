//! Reads of what is copied from other regions, and of what a survey compares.

use super::View;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::{ManifestRecord, TagRecord};
use crate::catalog::replication::{DebtRecord, ReplicationRecord};
use crate::catalog::table::{Blobs, Debts, GarbageDeadlines, Leftovers, Manifests, Replications, Tags};
use crate::id::RegionId;
use crate::key::Prefix;
use crate::machine::State;
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// How far a prefix was heard from its source; `None` if nothing is copied from there.
    pub fn replication(&self, source: RegionId, prefix: &str) -> Result<Option<ReplicationRecord>, StateError> {
        Replications::get(&self.state, (&source, &Prefix(prefix.to_owned())))
    }

    /// The same of all prefixes, by source and prefix. As many rows as namespaces have copies here.
    pub fn replications(&self) -> Result<Vec<(RegionId, String, ReplicationRecord)>, StateError> {
        let rows = Replications::scan::<()>(&self.state, (), None, usize::MAX)?;
        Ok(rows.into_iter().map(|((source, prefix), record)| (source, prefix.0, record)).collect())
    }

    /// Whether what is here of a prefix was no copy when this region became a replica of it, and not all that the source has
    /// has been here since.
    pub fn has_leftovers(&self, prefix: &str) -> Result<bool, StateError> {
        Leftovers::contains(&self.state, &prefix.to_owned())
    }

    /// What is owed of a prefix, in the order of numbers, behind `after`.
    pub fn debts(
        &self,
        source: RegionId,
        prefix: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, DebtRecord)>, StateError> {
        let prefix = Prefix(prefix.to_owned());
        let after = after.as_ref().map(|after| (&source, &prefix, after));
        let rows = Debts::scan::<(RegionId, Prefix)>(&self.state, (&source, &prefix), after, limit)?;
        Ok(rows.into_iter().map(|((_, _, number), record)| (number, record)).collect())
    }

    /// Tags of a repository with their records, in lexical order, behind `after`.
    pub fn tag_records(
        &self,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<(Tag, TagRecord)>, StateError> {
        let after = after.map(|tag| (repository, tag));
        let rows = Tags::scan::<RepositoryName>(&self.state, repository, after, limit)?;
        Ok(rows.into_iter().map(|((_, tag), record)| (tag, record)).collect())
    }

    /// Tags of a repository with what they point to, in lexical order, behind `after`.
    pub fn tags_with(
        &self,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<(Tag, Digest)>, StateError> {
        let rows = self.tag_records(repository, after, limit)?;
        Ok(rows.into_iter().map(|(tag, record)| (tag, record.digest)).collect())
    }

    /// Blobs that a repository links and no manifest of it uses, with their lengths in bytes, by digest, behind `after`.
    pub fn links_unused(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64)>, StateError> {
        let mut unused = Vec::new();
        for digest in GarbageDeadlines::unused_links(&self.state, repository, after, limit)? {
            // Gone when it was collected between the two reads.
            let length_bytes = Blobs::get(&self.state, &digest)?.map_or(0, |blob| blob.length_bytes);
            unused.push((digest, length_bytes));
        }
        Ok(unused)
    }

    /// Manifests of a repository without their bytes, by digest, behind `after`.
    pub fn manifests_of(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, ManifestRecord)>, StateError> {
        let after = after.map(|digest| (repository, digest));
        let rows = Manifests::scan::<RepositoryName>(&self.state, repository, after, limit)?;
        Ok(rows.into_iter().map(|((_, digest), record)| (digest, record)).collect())
    }
}
