//! A manifest brought here with all that it needs: its blobs first, then the manifests that it lists, then itself.
//!
//! [`Copier::prepare`] brings what it needs and may run ahead for many of them; [`Copier::put`] makes it visible, in the
//! order of debts. What the source has no more is not needed any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use raft::catalog::{Command, Digest, Owed, PutManifest, RepositoryName, Response, Tag};
use raft::policy::REPLICATION;
use raft::time::Timestamp;
use storage::switch;

use super::transfer::{For, Transfers};
use super::trouble::Trouble;
use crate::environment::BoxFuture;
use crate::gateway::core::Core;
use crate::registry::{Manifest, compute, parse};

/// How deep indexes may list indexes.
const DEPTH_MAX: u32 = 8;
/// Blobs of one manifest that are brought, or waited for, at one time.
const BLOBS_AT_ONCE: usize = 8;
/// Size from which a manifest is hashed and read off the asynchronous threads.
const LARGE_BYTES: usize = 64 << 10;
/// How often what a manifest needs is brought again when some of it went away meanwhile.
const ATTEMPTS: u32 = 3;

/// A manifest of which everything that it needs is here.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// The command that makes it visible, without tags.
    put: PutManifest,
    /// Bytes that came for it.
    pub(super) bytes: u64,
}

/// Why something is copied.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// When it came to be at the source, or got its tags.
    pub(super) made: Timestamp,
    /// The debts for which it is.
    pub(super) owed: Owed,
}

/// Copies manifests. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Copier {
    pub(super) transfers: Transfers,
}

impl Copier {
    fn core(&self) -> &Arc<Core> {
        self.transfers.gateway.core()
    }

    /// Brings what a manifest needs. `None` if the source has it no more.
    pub(super) async fn prepare(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Option<Ready>, Trouble> {
        self.prepare_at(whom, repository, digest, 0, cause, &mut BTreeSet::new()).await
    }

    fn prepare_at<'a>(
        &'a self,
        whom: For<'a>,
        repository: &'a RepositoryName,
        digest: &'a Digest,
        depth: u32,
        cause: &'a Cause,
        seen: &'a mut BTreeSet<Digest>,
    ) -> BoxFuture<'a, Result<Option<Ready>, Trouble>> {
        Box::pin(async move {
            let here = self.here(repository, digest)?;
            let is_here = here.is_some();
            let (media_type, bytes, mut came) = match here {
                Some((media_type, bytes)) => (media_type, bytes, 0),
                None => match self.transfers.upstream.manifest(&whom.wanted.source, repository, digest).await? {
                    Some(fetched) => {
                        let came = fetched.bytes.len() as u64;
                        (fetched.media_type, fetched.bytes, came)
                    }
                    None => return Ok(None),
                },
            };
            let manifest = self.read(*digest, media_type, bytes.clone()).await?;
            let mut blobs = manifest.blobs.clone();
            if is_here {
                // It was visible with all that it needs, and holds it. What it lists may have come to the source since, or
                // have gone from here.
                let used = self.used(repository, digest)?;
                blobs.extend(used.into_iter().filter(|used| !manifest.blobs.contains(used)));
                came += self.children(whom, repository, &manifest.children, depth + 1, cause, seen).await?;
            } else if !switch::broken("replication.tag.before_content") {
                match self.content(whom, repository, &manifest, depth, cause, seen).await? {
                    Some((used, brought)) => {
                        came += brought;
                        blobs.extend(used);
                    }
                    None => return self.unless_gone(whom, repository, digest).await,
                }
            } else {
                blobs.clear();
            }
            let put = PutManifest {
                repository: repository.clone(),
                digest: *digest,
                media_type: manifest.media_type,
                bytes,
                tags: Vec::new(),
                blobs,
                children: manifest.children,
                subject: manifest.subject,
                artifact_type: manifest.artifact_type,
                annotations: manifest.annotations,
                principal: Some(REPLICATION.to_owned()),
                owed: Some(cause.owed.clone()),
                made: Some(cause.made),
            };
            Ok(Some(Ready { put, bytes: came }))
        })
    }

    /// Brings blobs and listed manifests. Returns the optional ones among the blobs that there are, and the bytes that
    /// came; `None` if the source lacks one that must be there.
    async fn content(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        manifest: &Manifest,
        depth: u32,
        cause: &Cause,
        seen: &mut BTreeSet<Digest>,
    ) -> Result<Option<(Vec<Digest>, u64)>, Trouble> {
        let required = manifest.blobs.iter().map(|digest| (*digest, true));
        let all = required.chain(manifest.optional_blobs.iter().map(|digest| (*digest, false)));
        let bring = |(digest, required)| self.blob(whom, repository, digest, required);
        let all: Vec<(Digest, bool)> = all.collect();
        let mut brought = Box::pin(stream::iter(all).map(bring).buffered(BLOBS_AT_ONCE));
        let (mut used, mut bytes) = (Vec::new(), 0);
        while let Some(outcome) = brought.next().await {
            match outcome? {
                (_, true, None) => return Ok(None),
                (_, false, None) => {}
                (digest, required, Some(came)) => {
                    bytes += came;
                    if !required {
                        used.push(digest);
                    }
                }
            }
        }
        drop(brought);
        bytes += self.children(whom, repository, &manifest.children, depth + 1, cause, seen).await?;
        Ok(Some((used, bytes)))
    }

    async fn blob(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        digest: Digest,
        required: bool,
    ) -> Result<(Digest, bool, Option<u64>), Trouble> {
        Ok((digest, required, self.transfers.bring(whom, repository, &digest).await?))
    }

    /// Brings listed manifests. `seen` are those with which nothing more is to be done.
    fn children<'a>(
        &'a self,
        whom: For<'a>,
        repository: &'a RepositoryName,
        children: &'a [Digest],
        depth: u32,
        cause: &'a Cause,
        seen: &'a mut BTreeSet<Digest>,
    ) -> BoxFuture<'a, Result<u64, Trouble>> {
        Box::pin(async move {
            let mut bytes = 0;
            for child in children {
                if !seen.contains(child) {
                    bytes += self.child(whom, repository, child, depth, cause, seen).await?;
                    seen.insert(*child);
                }
            }
            Ok(bytes)
        })
    }

    /// Brings a listed manifest, and makes it visible. An index may list what is not there.
    async fn child(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        digest: &Digest,
        depth: u32,
        cause: &Cause,
        seen: &mut BTreeSet<Digest>,
    ) -> Result<u64, Trouble> {
        let here = self.core().records.view().manifest(repository, digest)?;
        match here {
            // It came piece by piece: how deep it lies was no matter then.
            Some(_) if depth > DEPTH_MAX => return Ok(0),
            Some(record) => return self.children(whom, repository, &record.children, depth + 1, cause, seen).await,
            None if depth > DEPTH_MAX => {
                return Err(Trouble::Failed(format!("indexes list one another more than {DEPTH_MAX} deep")));
            }
            None => {}
        }
        let mut bytes = 0;
        for _ in 0..ATTEMPTS {
            let Some(ready) = self.prepare_at(whom, repository, digest, depth, cause, seen).await? else {
                return Ok(bytes);
            };
            bytes += ready.bytes;
            if self.put(ready, Vec::new()).await? {
                return Ok(bytes);
            }
        }
        Err(went_away(digest))
    }

    /// A blob of a manifest is not at the source: either the manifest has gone meanwhile, too, or it is damaged there.
    async fn unless_gone(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Ready>, Trouble> {
        if self.transfers.upstream.manifest(&whom.wanted.source, repository, digest).await?.is_none() {
            return Ok(None);
        }
        let source = &whom.wanted.source.name;
        Err(Trouble::Failed(format!("region {source} has manifest {digest} without a blob that it uses")))
    }

    /// Makes a manifest visible, with tags, and strikes off the debts that say so. False if something that it needs has gone
    /// again: prepare it anew.
    pub(super) async fn put(&self, ready: Ready, tags: Vec<Tag>) -> Result<bool, Trouble> {
        let Ready { put, bytes } = ready;
        let owed = put.owed.map(|owed| Owed { bytes, ..owed });
        let command = Command::PutManifest(PutManifest { tags, owed, ..put });
        match self.core().propose(command).await? {
            Response::ManifestStored { .. } => Ok(true),
            Response::ManifestBlobsUnknown { .. } => Ok(false),
            response => Err(Trouble::of(&response)),
        }
    }

    /// Brings a manifest and makes it visible at once, with tags: for one that was brought before, for `bytes`, and lost
    /// something. The bytes if the source has it no more.
    pub(super) async fn again(
        &self,
        whom: For<'_>,
        put: (&RepositoryName, &Digest, &[Tag]),
        cause: &Cause,
        mut bytes: u64,
    ) -> Result<Option<u64>, Trouble> {
        let (repository, digest, tags) = put;
        for _ in 0..ATTEMPTS {
            let Some(mut ready) = self.prepare(whom, repository, digest, cause).await? else { return Ok(Some(bytes)) };
            ready.bytes += bytes;
            bytes = ready.bytes;
            if self.put(ready, tags.to_vec()).await? {
                return Ok(None);
            }
        }
        Err(went_away(digest))
    }

    /// Media type and bytes of a manifest that is here.
    fn here(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<(String, Bytes)>, Trouble> {
        let view = self.core().records.view();
        let Some(record) = view.manifest(repository, digest)? else { return Ok(None) };
        Ok(view.manifest_bytes(repository, digest)?.map(|bytes| (record.media_type, bytes)))
    }

    /// Blobs that a manifest uses that is here.
    fn used(&self, repository: &RepositoryName, digest: &Digest) -> Result<Vec<Digest>, Trouble> {
        let record = self.core().records.view().manifest(repository, digest)?;
        Ok(record.map(|record| record.blobs).unwrap_or_default())
    }

    /// Verifies and reads a manifest.
    async fn read(&self, digest: Digest, media_type: String, bytes: Bytes) -> Result<Manifest, Trouble> {
        let is_large = bytes.len() >= LARGE_BYTES;
        let read = move || {
            let actual = compute(digest.algorithm(), &bytes);
            if actual != digest {
                return Err(Trouble::Failed(format!("manifest {digest} came as bytes with the digest {actual}")));
            }
            let content_type = Some(media_type.as_str()).filter(|text| !text.is_empty());
            parse(content_type, &bytes)
                .map_err(|error| Trouble::Failed(format!("manifest {digest} cannot be read: {error}")))
        };
        if is_large { self.core().exec.run(read).await } else { read() }
    }
}

fn went_away(digest: &Digest) -> Trouble {
    Trouble::Failed(format!("what manifest {digest} needs was collected again before the manifest could be stored"))
}
