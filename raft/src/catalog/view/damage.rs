//! What is lost, by the names that people know: extents that cannot be read, the blobs that they belong to, and the
//! repositories, manifests and tags that use those.
//!
//! Every list is read in pages, so that a blob that everything is built on is named completely. The first names of a
//! manifest come with its use; what is cut short says so and can be gone on with.

use std::collections::{BTreeSet, VecDeque};

use storage::shard::{ExtentIndex, ObjectId};

use super::View;
use crate::catalog::limit::DAMAGED_NAMES_MAX;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::ObjectState;
use crate::catalog::shortfall::{ShortfallKey, ShortfallRecord};
use crate::catalog::table::{ManifestUses, Objects, ShortfallOrder, Shortfalls};
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

/// An extent of which more is missing than its profile bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its place in the list, to go on from.
    pub key: ShortfallKey,
    /// What is missing.
    pub shortfall: ShortfallRecord,
    /// The blob that it belongs to; none while it is being uploaded.
    pub digest: Option<Digest>,
}

/// A use of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobUse {
    /// A repository that links it.
    pub repository: RepositoryName,
    /// A manifest of the repository that uses it; none if the repository only links it.
    pub manifest: Option<Digest>,
    /// By which names clients get at that manifest.
    pub names: ManifestNames,
}

/// The names by which clients get at a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestNames {
    /// Tags that point to it, or to an index that lists it.
    pub tags: Vec<Tag>,
    /// Indexes that list it, or that list an index that does.
    pub indexes: Vec<Digest>,
    /// Whether there are more than could be named: [`tags_of`](View::tags_of) and [`parents`](View::parents)
    /// have them all.
    pub more: bool,
}

impl<S: State> View<S> {
    /// Extents that cannot be read, the oldest first, behind `after`.
    pub fn damaged(&self, after: Option<&ShortfallKey>, limit: usize) -> Result<Vec<Damage>, StateError> {
        let mut after = after.copied();
        let mut damaged = Vec::new();
        // What was healed between two reads is left out, and the page is filled up.
        while damaged.len() < limit {
            let room = limit - damaged.len();
            let behind = after.as_ref().map(|key| (&key.spare, &key.since, &key.object, &key.extent));
            let rows = ShortfallOrder::scan::<u8>(&self.state, &ShortfallKey::LOST, behind, room)?;
            let is_last = rows.len() < room;
            for ((spare, since, object, extent), ()) in rows {
                after = Some(ShortfallKey { spare, since, object, extent });
                damaged.extend(self.damage(spare, since, object, extent)?);
            }
            if is_last {
                break;
            }
        }
        Ok(damaged)
    }

    fn damage(
        &self,
        spare: u8,
        since: Timestamp,
        object: ObjectId,
        extent: ExtentIndex,
    ) -> Result<Option<Damage>, StateError> {
        // Either is gone when it was healed between two reads.
        let Some(shortfall) = Shortfalls::get(&self.state, (&object, &extent))? else { return Ok(None) };
        let Some(record) = Objects::get(&self.state, &object)? else { return Ok(None) };
        let digest = match record.state {
            ObjectState::Published(digest) => Some(digest),
            ObjectState::Uploading => None,
        };
        Ok(Some(Damage { key: ShortfallKey { spare, since, object, extent }, shortfall, digest }))
    }

    /// Who uses a blob, by repository and manifest, behind `after`.
    pub fn blob_uses(
        &self,
        digest: &Digest,
        after: Option<&BlobUse>,
        limit: usize,
    ) -> Result<Vec<BlobUse>, StateError> {
        let mut uses = Vec::new();
        let mut last = after.map(|after| after.repository.clone());
        if let Some(BlobUse { repository, manifest: Some(manifest), .. }) = after {
            self.extend_uses(&mut uses, repository, digest, Some(manifest), limit)?;
        }
        while uses.len() < limit {
            let Some(repository) = self.repositories_of(digest, last.as_ref(), 1)?.pop() else { break };
            let before = uses.len();
            self.extend_uses(&mut uses, &repository, digest, None, limit)?;
            if uses.len() == before {
                let names = ManifestNames::default();
                uses.push(BlobUse { repository: repository.clone(), manifest: None, names });
            }
            last = Some(repository);
        }
        Ok(uses)
    }

    fn extend_uses(
        &self,
        uses: &mut Vec<BlobUse>,
        repository: &RepositoryName,
        digest: &Digest,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<(), StateError> {
        let after = after.map(|after| (repository, digest, after));
        let room = limit.saturating_sub(uses.len());
        let rows = ManifestUses::scan::<(RepositoryName, Digest)>(&self.state, (repository, digest), after, room)?;
        for ((_, _, manifest), ()) in rows {
            let names = self.names_of(repository, &manifest, DAMAGED_NAMES_MAX)?;
            uses.push(BlobUse { repository: repository.clone(), manifest: Some(manifest), names });
        }
        Ok(())
    }

    /// Tags and indexes by which clients get at a manifest, at most `limit` of each.
    pub fn names_of(
        &self,
        repository: &RepositoryName,
        manifest: &Digest,
        limit: usize,
    ) -> Result<ManifestNames, StateError> {
        let mut names = ManifestNames::default();
        let mut seen = BTreeSet::from([*manifest]);
        let mut waiting = VecDeque::from([*manifest]);
        while let Some(manifest) = waiting.pop_front() {
            let room = limit - names.tags.len();
            let tags = self.tags_of(repository, &manifest, None, room.saturating_add(1))?;
            names.more |= tags.len() > room;
            names.tags.extend(tags.into_iter().take(room));
            for index in self.parents(repository, &manifest, None, limit.saturating_add(1))? {
                if seen.contains(&index) {
                    continue;
                }
                if names.indexes.len() == limit {
                    names.more = true;
                    break;
                }
                seen.insert(index);
                names.indexes.push(index);
                waiting.push_back(index);
            }
        }
        Ok(names)
    }
}
