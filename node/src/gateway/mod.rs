//! The blob gateway: bytes between a client and the shards of the region, whichever node the client talks to.
//!
//! `upload` and `blob` are the operations, `write` and `read` the two paths, `placement` says where extents go, `hash`
//! is the resumable digest, `budget` bounds memory; `catalog` and `holders` are what it asks of the rest of the node.
//! HTTP is not here, and nothing of a manifest.

mod blob;
mod budget;
pub(crate) mod catalog;
pub(crate) mod core;
mod error;
mod hash;
pub(crate) mod holders;
mod load;
mod loss;
mod metrics;
mod options;
pub(crate) mod placement;
mod read;
mod room;
#[cfg(test)]
pub(crate) mod tests;
mod upload;
pub(crate) mod write;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use raft::catalog::Catalog;
use raft::group::Group;
use raft::time::Clock;
use storage::exec::Exec;
use tokio_util::task::TaskTracker;

use self::core::Core;
use crate::environment::Entropy;
use crate::members::Members;
use crate::shards::Shards;

pub use error::{BlobError, BodyError, RETRY_AFTER_SECONDS, ReadError, UploadError};
pub use load::Load;
pub use metrics::Metrics;
pub use options::Options;
pub use read::{Blob, ByteStream};
pub use upload::{Published, Upload};

/// A request's body.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayParts {
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
    /// Shards of all nodes.
    pub shards: Shards,
    /// The region's nodes.
    pub members: Members,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The present moment, for promises that run from it.
    pub clock: Arc<dyn Clock>,
    /// CPU-heavy work.
    pub exec: Exec,
    /// Limits and sizes.
    pub options: Options,
    /// Counters.
    pub metrics: Metrics,
}

/// The blob gateway of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    core: Arc<Core>,
}

impl Gateway {
    /// A gateway.
    #[must_use]
    pub fn new(parts: GatewayParts) -> Self {
        let GatewayParts { catalog, shards, members, entropy, clock, exec, options, metrics } = parts;
        Self { core: Core::new(catalog, Arc::new(shards), Arc::new(members), (entropy, clock), exec, options, metrics) }
    }

    /// Refuses new uploads from now on and waits until those in progress are over. The caller bounds the wait.
    pub async fn drain(&self) {
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    /// What [`drain`](Self::drain) waits for: uploads that are being written, and requests that go on without their client.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.core.tasks
    }

    /// The inside, for background work.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}
