//! Deletions of manifests and blobs, some of what is there and some of what is not; and clients that live on what they
//! were told is there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ask::Ask;
use super::client::Client;
use super::content::Blob;
use crate::history::Subject;

/// How often a client that lingers asks again.
const LOOKS: usize = 3;
/// How often it looks whether it is to stop.
const POLL: Duration = Duration::from_millis(500);

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
        let reply = self.insist(&Ask::head_blob(&repository, &blob)).await;
        if self.chance(50) {
            self.linger(&repository, &blob).await;
        }
        reply.is_ok_and(|answer| answer.status < 500)
    }

    /// Asks again and again, each time shortly before the grace since the last answer is over: a blob that is there stays
    /// there. Where nothing goes by itself there is nothing to see.
    async fn linger(&mut self, repository: &Arc<str>, blob: &Arc<Blob>) {
        let subject = Subject::Blob { repository: Arc::clone(repository), digest: Arc::clone(&blob.digest) };
        let Some(grace) = self.work().terms.span(&subject).filter(|grace| *grace > 0) else { return };
        let pause = Duration::from_micros(grace * 3 / 4);
        for _ in 0..LOOKS {
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if self.work().is_stopped() {
                    return;
                }
                sleep(POLL).await;
            }
            let reply = self.insist(&Ask::head_blob(repository, blob)).await;
            if reply.is_ok_and(|answer| answer.status == 404) {
                return;
            }
        }
    }
}
