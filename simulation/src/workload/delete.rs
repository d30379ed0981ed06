//! Deletions of manifests and blobs, some of what is there and some of what is not; and clients that live on what they
//! were told is there.

use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, RngCore as _};
use tokio::time::{Instant, sleep};

use super::ask::Ask;
use super::client::Client;
use super::content::Blob;
use super::dialect::Dialect;
use crate::history::Subject;

/// How often a client that lingers asks again.
const LOOKS: usize = 3;
/// How often it looks whether it is to stop.
const POLL: Duration = Duration::from_millis(500);
/// Longest blob that it pushes for that.
const LINGERED_BYTES_MAX: usize = 64 << 10;

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
            self.linger(&repository).await;
        }
        reply.is_ok_and(|answer| answer.status < 500)
    }

    /// Pushes a blob that nothing uses, and asks for it again and again, each time shortly before the grace since the last
    /// answer is over: it stays there. Where nothing goes by itself there is nothing to see.
    async fn linger(&mut self, repository: &Arc<str>) {
        let mut content = vec![0; self.random.random_range(100..=LINGERED_BYTES_MAX)];
        self.random.fill_bytes(&mut content);
        let blob = Arc::new(Blob::new(content.into()));
        let subject = Subject::Blob { repository: Arc::clone(repository), digest: Arc::clone(&blob.digest) };
        let Some(grace) = self.work().terms.span(&subject).filter(|grace| *grace > 0) else { return };
        if !self.push_blob(Dialect::Containerd, repository, &blob).await {
            return;
        }
        let pause = Duration::from_micros(grace * 3 / 4);
        for _ in 0..LOOKS {
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if self.work().is_stopped() {
                    return;
                }
                sleep(POLL).await;
            }
            let reply = self.insist(&Ask::head_blob(repository, &blob)).await;
            if reply.is_ok_and(|answer| answer.status == 404) {
                return;
            }
        }
    }
}
