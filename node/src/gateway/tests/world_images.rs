//! Images in the world, and the background work on them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::{Algorithm, Command, Digest, PutManifest, RepositoryName, Response, Tag};
use tokio::time::sleep;

use super::world::*;
use crate::background::{Background, Metrics, Options};
use crate::deletion::{Deletion, DirectoryRecords};
use crate::gateway::{Gateway, UploadError};
use crate::regions::testing::alone;

/// A tag.
pub(super) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// Pushes a blob to any repository.
pub(super) async fn push_to(
    gateway: &Gateway,
    repository: &RepositoryName,
    bytes: &[u8],
) -> Result<Digest, UploadError> {
    let upload = gateway.start_upload(repository, Algorithm::Sha256, None).await?;
    let digest = sha256(bytes);
    gateway.finish(repository, upload.session, Some(0), digest, body(bytes, 37)).await?;
    Ok(digest)
}

/// Stores a manifest that uses these blobs under some tags.
pub(super) async fn put(
    gateway: &Gateway,
    repository: &RepositoryName,
    content: &str,
    blobs: Vec<Digest>,
    tags: &[&str],
) -> Response {
    let command = Command::PutManifest(PutManifest {
        repository: repository.clone(),
        digest: sha256(content.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: Bytes::copy_from_slice(content.as_bytes()),
        tags: tags.iter().map(|text| tag(text)).collect(),
        blobs,
        children: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: Vec::new(),
        principal: None,
        owed: None,
        made: None,
    });
    gateway.core.propose(command).await.unwrap()
}

/// Pushes an image of one layer.
pub(super) async fn push_image(gateway: &Gateway, repository: &RepositoryName, layer: &[u8], at: &str) -> Digest {
    let blob = push_to(gateway, repository, layer).await.unwrap();
    let content = format!("{{\"layer\":\"{blob}\"}}");
    let stored = put(gateway, repository, &content, vec![blob], &[at]).await;
    assert!(matches!(stored, Response::ManifestStored { .. }), "{stored:?}");
    sha256(content.as_bytes())
}

/// Deletes a manifest as a client does.
pub(super) async fn delete(gateway: &Gateway, repository: &RepositoryName, digest: Digest) -> Response {
    let command = Command::DeleteManifest { repository: repository.clone(), digest, principal: None, owed: None };
    gateway.core.propose(command).await.unwrap()
}

/// Tags of a repository.
pub(super) fn tags(world: &World, repository: &RepositoryName) -> Vec<String> {
    let tags = world.view().tags(repository, None, usize::MAX).unwrap();
    tags.iter().map(ToString::to_string).collect()
}

/// The background work of a node, with what operators ask of it.
pub(super) struct Office {
    pub(super) background: Background,
    pub(super) deletion: Deletion,
    pub(super) metrics: Metrics,
}

impl Office {
    pub(super) fn open(gateway: &Gateway, directory: &Arc<dyn DirectoryRecords>) -> Self {
        Self::paced(gateway, directory, Options::default().garbage_items_per_second)
    }

    pub(super) fn paced(
        gateway: &Gateway,
        directory: &Arc<dyn DirectoryRecords>,
        garbage_items_per_second: u64,
    ) -> Self {
        let metrics = Metrics::default();
        let options = Options { garbage_items_per_second, ..Options::default() };
        let background = Background::start(gateway, directory, Arc::new(|| None), &options, &metrics);
        let regions = alone(directory, gateway.core.exec);
        tokio::spawn(regions.keep());
        let deletion = Deletion::over(gateway, Arc::clone(directory), background.overviews(), regions);
        Self { background, deletion, metrics }
    }

    /// Lets it work for some virtual time, and ends it.
    pub(super) async fn work(self, gateway: &Gateway, seconds: u64) -> Metrics {
        sleep(Duration::from_secs(seconds)).await;
        self.background.stop().await;
        settle(gateway).await;
        self.metrics
    }
}
