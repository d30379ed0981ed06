//! How the blobs of an image come to a registry: each in the way of a real client.

mod chunked;
mod containerd;
mod docker;

use std::sync::Arc;

use super::ask::Ask;
use super::client::Client;
use super::content::Blob;

/// The dialect of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As docker does.
    Docker,
    /// As containerd does.
    Containerd,
    /// As clients do that follow the specification's way to push in chunks.
    Chunked,
}

impl Client {
    /// Pushes a blob. True once the registry has said that it is there, before or by this push.
    pub(super) async fn push_blob(&mut self, dialect: Dialect, repository: &Arc<str>, blob: &Arc<Blob>) -> bool {
        match dialect {
            Dialect::Docker => self.push_blob_docker(repository, blob).await,
            Dialect::Containerd => self.push_blob_containerd(repository, blob).await,
            Dialect::Chunked => self.push_blob_chunked(repository, blob).await,
        }
    }

    /// Whether the blob is there already.
    pub(super) async fn has_blob(&mut self, repository: &Arc<str>, blob: &Arc<Blob>) -> bool {
        self.insist(&Ask::head_blob(repository, blob)).await.is_ok_and(|answer| answer.status == 200)
    }
}
