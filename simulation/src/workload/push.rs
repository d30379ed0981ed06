//! Pushes of whole images and indexes: the blobs first, the manifest by a tag last.

use std::sync::Arc;

use rand::seq::SliceRandom as _;

use super::ask::Ask;
use super::client::Client;
use super::content::Manifest;
use super::dialect::Dialect;

/// Share of the pushes by which containerd looks for the manifest first, in percent.
const LOOK_FIRST_PERCENT: u8 = 50;

impl Client {
    /// Pushes one of the images under one of the tags.
    pub(super) async fn push_image(&mut self, dialect: Dialect) -> bool {
        if dialect == Dialect::Chunked
            && self.chance(40)
            && let Some(done) = self.join_session().await
        {
            return done;
        }
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(tag), Some(image)) =
            (self.any(&library.repositories), self.any(&library.tags), self.any(&library.images))
        else {
            return false;
        };
        if dialect == Dialect::Containerd && self.chance(LOOK_FIRST_PERCENT) {
            let reply = self.insist(&Ask::read_tag(&repository, &tag, false)).await;
            if reply.is_ok_and(|answer| answer.header("docker-content-digest") == &*image.digest) {
                return true;
            }
        }
        self.push_manifest(dialect, &repository, &image, std::slice::from_ref(&tag)).await
    }

    /// Pushes an index: its images by their digests, then itself under a tag. Some leave an image out.
    pub(super) async fn push_index(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(tag), Some(index)) =
            (self.any(&library.repositories), self.any(&library.tags), self.any(&library.indexes))
        else {
            return false;
        };
        let dialect = self.any(&[Dialect::Docker, Dialect::Containerd, Dialect::Chunked]).unwrap_or(Dialect::Docker);
        for child in &index.children {
            let is_left_out = self.chance(10);
            if !is_left_out && !self.push_manifest(dialect, &repository, child, &[]).await {
                return false;
            }
        }
        self.push_manifest(dialect, &repository, &index, std::slice::from_ref(&tag)).await
    }

    /// Pushes the blobs that a manifest names, in any order, and the manifest.
    pub(super) async fn push_manifest(
        &mut self,
        dialect: Dialect,
        repository: &Arc<str>,
        manifest: &Arc<Manifest>,
        tags: &[Arc<str>],
    ) -> bool {
        let mut blobs = manifest.blobs.clone();
        blobs.shuffle(&mut self.random);
        for blob in &blobs {
            if self.work().is_stopped() || !self.push_blob(dialect, repository, blob).await {
                return false;
            }
        }
        self.insist(&Ask::push_manifest(repository, manifest, tags)).await.is_ok_and(|answer| answer.status == 201)
    }
}
