//! The metadata operations of the registry over a region's catalog: manifests, tags, referrers, lists.
//!
//! Reads by tag and every answer about existence wait for a read barrier; content by digest is taken from the local
//! state first, and the barrier comes before "it does not exist". Point reads of the catalog run on the caller's
//! task: they come from memory or the block cache nearly always, and a hop to another thread would cost more than
//! they do; scans go through [`Exec`]. Pulls are noted (`pulls`), not written. Blob bytes and upload sessions are the
//! gateway's; HTTP is the API's.

mod digest;
mod error;
mod insight;
mod list;
mod manifest;
mod pulls;
mod referrers;
mod standing;

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use raft::catalog::{Catalog, Command, Digest, ManifestRecord, PutManifest, RepositoryName, Response, Tag, View};
use raft::group::Group;
use raft::id::RequestId;
use raft::time::Clock;
use storage::exec::Exec;
use storage::kv::Engine;
use storage::switch;

pub use digest::compute;
pub use error::RegistryError;
pub use list::Page;
pub use manifest::{Manifest, ManifestError, media_type, parse};
pub use pulls::Pulls;
pub use referrers::{Referrer, ReferrersPage};

use crate::environment::Entropy;
use crate::gateway::catalog::Records;

/// Size from which a manifest is hashed and read off the asynchronous threads.
const LARGE_BYTES: usize = 64 << 10;

/// How often a tag is resolved again when its manifest went away in between.
const RESOLVE_ATTEMPTS: usize = 4;

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A tag.
    Tag(Tag),
    /// A digest.
    Digest(Digest),
}

impl Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(formatter),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

/// A manifest as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// Media type as it was pushed.
    pub media_type: String,
    /// Its length.
    pub length_bytes: u64,
    /// The exact bytes; empty if only its existence was asked for.
    pub bytes: Bytes,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedManifest {
    /// Digest by which it is stored.
    pub digest: Digest,
    /// Manifest that it refers to.
    pub subject: Option<Digest>,
    /// Tags that did not point to it before, each with what it pointed to, if it was there.
    pub tags: Vec<(Tag, Option<Digest>)>,
}

/// The catalog of the node's region. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    catalog: Arc<Group<Catalog>>,
    exec: Exec,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    pulls: Pulls,
}

impl Registry {
    /// Works on this catalog.
    #[must_use]
    pub fn new(catalog: Arc<Group<Catalog>>, exec: Exec, entropy: Arc<dyn Entropy>, clock: Arc<dyn Clock>) -> Self {
        let records: Arc<dyn Records> = Arc::<Group<Catalog>>::clone(&catalog);
        let pulls = Pulls::new(records, Arc::clone(&entropy), exec);
        Self { catalog, exec, entropy, clock, pulls }
    }

    /// When manifests are pulled.
    #[must_use]
    pub const fn pulls(&self) -> &Pulls {
        &self.pulls
    }

    /// The manifest with its bytes. Counts as a pull.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], or that the catalog cannot be reached.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<StoredManifest, RegistryError> {
        if let Reference::Digest(digest) = reference
            && let Some(manifest) = read(&self.view(), repository, digest, true)?
        {
            self.pulls.note(repository, digest);
            return Ok(manifest);
        }
        let manifest = self.confirmed(repository, reference, true).await?;
        self.pulls.note(repository, &manifest.digest);
        Ok(manifest)
    }

    /// The manifest with its bytes, for a copy in another region: that is no pull.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], or that the catalog cannot be reached.
    pub async fn manifest_to_copy(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<StoredManifest, RegistryError> {
        self.confirmed(repository, reference, true).await
    }

    /// The manifest without its bytes. The answer is true of the moment it was asked for.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], or that the catalog cannot be reached.
    pub async fn stat_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<StoredManifest, RegistryError> {
        let manifest = self.confirmed(repository, reference, false).await?;
        if let Reference::Digest(digest) = reference {
            self.touch(repository, digest).await?;
        }
        Ok(manifest)
    }

    /// A client learns that a manifest exists: one that nothing holds stays until an index was pushed that lists it.
    async fn touch(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), RegistryError> {
        let now = self.clock.now();
        if !self.view().manifest_needs_touch(repository, digest, now).map_err(RegistryError::state)? {
            return Ok(());
        }
        match self.propose(Command::TouchManifest { repository: repository.clone(), digest: *digest }).await? {
            Response::Done => Ok(()),
            Response::ManifestUnknown => Err(unknown(repository, &Reference::Digest(*digest))),
            other => Err(RegistryError::unexpected(&other)),
        }
    }

    /// Stores a manifest under its digest and sets tags on it: the one it is pushed by, and `tags`.
    ///
    /// # Errors
    /// That it is not valid, does not have the digest it is pushed by, uses blobs that are not there, or is refused by a
    /// quota or an immutable tag; or that the catalog cannot be reached. Pushing again is harmless.
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        content_type: Option<&str>,
        bytes: Bytes,
        mut tags: Vec<Tag>,
        principal: Option<String>,
    ) -> Result<PushedManifest, RegistryError> {
        let (manifest, digest) = self.check(reference, content_type, &bytes).await?;
        if let Reference::Tag(tag) = reference
            && !tags.contains(tag)
        {
            tags.push(tag.clone());
        }
        let used = self.present(repository, &manifest.optional_blobs).await?;
        let subject = manifest.subject;
        let command = PutManifest {
            repository: repository.clone(),
            digest,
            media_type: manifest.media_type,
            bytes,
            tags,
            blobs: manifest.blobs,
            children: manifest.children,
            subject,
            artifact_type: manifest.artifact_type,
            annotations: manifest.annotations,
            principal,
            owed: None,
            made: None,
        };
        let response = if used.is_empty() {
            self.propose(Command::PutManifest(command)).await?
        } else {
            self.put_with_optional(command, used).await?
        };
        match response {
            Response::ManifestStored { tags, .. } => Ok(PushedManifest { digest, subject, tags }),
            Response::ManifestBlobsUnknown { digests } => Err(RegistryError::BlobsUnknown(digests)),
            other => Err(RegistryError::unexpected(&other)),
        }
    }

    /// Removes a tag, not its manifest; or a manifest with the tags that point to it. Returns the tags that are gone, each
    /// with what it pointed to.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], that the policy of its namespace keeps it, or that the catalog cannot be
    /// reached.
    pub async fn delete(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        principal: Option<String>,
    ) -> Result<Vec<(Tag, Digest)>, RegistryError> {
        let repository = repository.clone();
        let command = match reference {
            Reference::Tag(tag) => {
                Command::DeleteTag { repository: repository.clone(), tag: tag.clone(), principal, owed: None }
            }
            Reference::Digest(digest) => {
                Command::DeleteManifest { repository: repository.clone(), digest: *digest, principal, owed: None }
            }
        };
        if switch::broken("registry.delete.acknowledge_early") {
            let registry = self.clone();
            tokio::spawn(async move { registry.propose(command).await });
            return Ok(Vec::new());
        }
        match self.propose(command).await? {
            Response::Deleted { tags } => Ok(tags),
            Response::TagUnknown | Response::ManifestUnknown => Err(unknown(&repository, reference)),
            other => Err(RegistryError::unexpected(&other)),
        }
    }

    /// Stores a manifest that uses more blobs than it must.
    async fn put_with_optional(&self, command: PutManifest, used: Vec<Digest>) -> Result<Response, RegistryError> {
        let mut with_optional = command.clone();
        with_optional.blobs.extend(used);
        match self.propose(Command::PutManifest(with_optional)).await? {
            // They may have gone since they were looked up: then it must do without them.
            Response::ManifestBlobsUnknown { digests }
                if !digests.iter().any(|missing| command.blobs.contains(missing)) =>
            {
                self.propose(Command::PutManifest(command)).await
            }
            response => Ok(response),
        }
    }

    /// Hashes, compares and reads what was pushed.
    async fn check(
        &self,
        reference: &Reference,
        content_type: Option<&str>,
        bytes: &Bytes,
    ) -> Result<(Manifest, Digest), RegistryError> {
        let expected = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => None,
        };
        if bytes.len() < LARGE_BYTES {
            return check(expected, content_type, bytes);
        }
        let content_type = content_type.map(str::to_owned);
        let bytes = bytes.clone();
        self.exec.run(move || check(expected, content_type.as_deref(), &bytes)).await
    }

    /// Those of the blobs that the repository has.
    async fn present(&self, repository: &RepositoryName, blobs: &[Digest]) -> Result<Vec<Digest>, RegistryError> {
        if blobs.is_empty() {
            return Ok(Vec::new());
        }
        self.barrier().await?;
        let (repository, blobs) = (repository.clone(), blobs.to_vec());
        self.scan(move |view| {
            let mut present = Vec::new();
            for digest in blobs {
                if view.linked_blob(&repository, &digest).map_err(RegistryError::state)?.is_some() {
                    present.push(digest);
                }
            }
            Ok(present)
        })
        .await
    }

    /// The manifest as of now.
    async fn confirmed(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        with_bytes: bool,
    ) -> Result<StoredManifest, RegistryError> {
        self.barrier().await?;
        let view = self.view();
        match reference {
            Reference::Digest(digest) => {
                read(&view, repository, digest, with_bytes)?.ok_or_else(|| unknown(repository, reference))
            }
            Reference::Tag(tag) => {
                // The tag may move, and the manifest it pointed to may go, between the two reads.
                for _ in 0..RESOLVE_ATTEMPTS {
                    let Some(record) = view.tag(repository, tag).map_err(RegistryError::state)? else { break };
                    if let Some(manifest) = read(&view, repository, &record.digest, with_bytes)? {
                        return Ok(manifest);
                    }
                }
                Err(unknown(repository, reference))
            }
        }
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(self.catalog.state())
    }

    async fn barrier(&self) -> Result<(), RegistryError> {
        self.catalog.read_barrier().await.map_err(RegistryError::unavailable)
    }

    async fn propose(&self, command: Command) -> Result<Response, RegistryError> {
        let request = RequestId(self.entropy.id());
        self.catalog.propose(request, command).await.map_err(RegistryError::unavailable)
    }

    /// Runs a longer read off the asynchronous threads.
    async fn scan<T, F>(&self, work: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: FnOnce(&View<Arc<dyn Engine>>) -> Result<T, RegistryError> + Send + 'static,
    {
        let view = self.view();
        self.exec.run(move || work(&view)).await
    }
}

fn check(
    expected: Option<Digest>,
    content_type: Option<&str>,
    bytes: &[u8],
) -> Result<(Manifest, Digest), RegistryError> {
    let algorithm = expected.map_or(raft::catalog::Algorithm::Sha256, |digest| digest.algorithm());
    let actual = compute(algorithm, bytes);
    match expected {
        Some(expected) if expected != actual => {
            Err(RegistryError::DigestMismatch { expected: Box::new(expected), actual: Box::new(actual) })
        }
        _ => Ok((parse(content_type, bytes)?, actual)),
    }
}

fn read(
    view: &View<Arc<dyn Engine>>,
    repository: &RepositoryName,
    digest: &Digest,
    with_bytes: bool,
) -> Result<Option<StoredManifest>, RegistryError> {
    let record: Option<ManifestRecord> = view.manifest(repository, digest).map_err(RegistryError::state)?;
    let Some(record) = record else { return Ok(None) };
    let bytes = if with_bytes {
        match view.manifest_bytes(repository, digest).map_err(RegistryError::state)? {
            Some(bytes) => bytes,
            // Deleted between the two reads.
            None => return Ok(None),
        }
    } else {
        Bytes::new()
    };
    Ok(Some(StoredManifest {
        digest: *digest,
        media_type: record.media_type,
        length_bytes: record.length_bytes,
        bytes,
    }))
}

fn unknown(repository: &RepositoryName, reference: &Reference) -> RegistryError {
    RegistryError::ManifestUnknown { repository: repository.clone(), reference: reference.to_string() }
}
