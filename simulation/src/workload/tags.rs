//! Tags: moved to manifests that exist, resolved, deleted.

use std::sync::Arc;

use super::ask::Ask;
use super::client::Client;

impl Client {
    /// Moves a tag to a manifest that exists: reads it by its digest, pushes it by the tag, or by its digest with
    /// several tags as parameters.
    pub(super) async fn move_tag(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(tag), Some(image)) =
            (self.any(&library.repositories), self.any(&library.tags), self.any(&library.images))
        else {
            return false;
        };
        match self.insist(&Ask::get_manifest(&repository, &image)).await.map(|answer| answer.status) {
            Ok(200) => {}
            Ok(404) => return true,
            _ => return false,
        }
        let mut tags = vec![tag];
        if self.chance(30)
            && let Some(other) = self.any(&library.tags)
            && !tags.contains(&other)
        {
            tags.push(other);
        }
        let status = self.insist(&Ask::push_manifest(&repository, &image, &tags)).await.map(|answer| answer.status);
        // Deleted meanwhile, and its blobs as well.
        matches!(status, Ok(201 | 400))
    }

    /// Resolves a tag.
    pub(super) async fn resolve_tag(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(tag)) = (self.any(&library.repositories), self.any(&library.tags)) else {
            return false;
        };
        let with_bytes = self.chance(50);
        self.insist(&Ask::read_tag(&repository, &tag, with_bytes)).await.is_ok_and(|answer| answer.status < 500)
    }

    /// Deletes a tag.
    pub(super) async fn delete_tag(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(tag)) = (self.any(&library.repositories), self.any(&library.tags)) else {
            return false;
        };
        self.insist(&Ask::delete_tag(&repository, &tag)).await.is_ok_and(|answer| answer.status < 500)
    }
}
