//! Deletions of manifests and blobs, some of what is there and some of what is not.

use std::sync::Arc;

use super::ask::Ask;
use super::client::Client;

impl Client {
    /// Deletes an image or an index by its digest.
    pub(super) async fn delete_manifest(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let manifests = if self.chance(25) { &library.indexes } else { &library.images };
        let (Some(repository), Some(manifest)) = (self.any(&library.repositories), self.any(manifests)) else {
            return false;
        };
        let ask = Ask::delete_manifest(&repository, &manifest.digest, &library.tags);
        self.insist(&ask).await.is_ok_and(|answer| answer.status < 500)
    }

    /// Deletes a layer or a configuration. It is refused while a manifest of the repository uses it.
    pub(super) async fn delete_blob(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(image)) = (self.any(&library.repositories), self.any(&library.images)) else {
            return false;
        };
        let Some(blob) = self.any(&image.blobs) else { return false };
        self.insist(&Ask::delete_blob(&repository, &blob.digest)).await.is_ok_and(|answer| answer.status < 500)
    }

    /// Asks whether a blob exists.
    pub(super) async fn head_blob(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(blob)) = (self.any(&library.repositories), self.any(&library.layers)) else {
            return false;
        };
        self.insist(&Ask::head_blob(&repository, &blob)).await.is_ok_and(|answer| answer.status < 500)
    }
}
