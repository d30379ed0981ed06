//! Shards wherever they rest: local disks and peers as one.
//!
//! A write goes through a bounded queue to the disk or to the peer that holds it, so that the caller codes the next
//! stripe meanwhile; its errors come back with the next append or with the finish. Local blocks are verified by the
//! disk's reader; blocks of a peer are verified by the peer and again here. Placement, redundancy and repair are not
//! here: this module moves one shard at a time.

mod disk_metrics;
mod disks;
mod error;
mod local;
mod metrics;
mod sink;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use raft::catalog::DiskLocation;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::exec::Exec;
use storage::shard::{DiskId, Geometry, ShardName, checksum};

pub(crate) use disk_metrics::DiskMetrics;
pub(crate) use disks::disk_owner;
pub use disks::{DiskChangeError, DiskReport, LocalDisks};
pub use error::{Place, ShardError};
pub use local::LocalShards;
pub(crate) use local::{LocalWriter, Verify, VerifyError};
pub use metrics::Metrics;
pub use sink::ShardSink;
use sink::failed;
pub use storage::shard::Block;

use crate::members::Members;
use crate::peer::{Peers, limits};

/// The shards of the region. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shards {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    own: NodeId,
    local: LocalShards,
    peers: Peers,
    members: Members,
    exec: Exec,
    metrics: Metrics,
}

impl Shards {
    /// Shards on this node's disks and on its peers. A peer that fails at the transport level is reported to
    /// `members`.
    #[must_use]
    pub fn new(local: LocalShards, peers: Peers, members: Members, exec: Exec) -> Self {
        let metrics = local.metrics().clone();
        Self { inner: Arc::new(Inner { own: local.own(), local, peers, members, exec, metrics }) }
    }

    /// The shards of this node alone.
    #[must_use]
    pub fn local(&self) -> &LocalShards {
        &self.inner.local
    }

    /// Begins to write a shard. Nothing is durable, and nothing of it stays behind, unless
    /// [`finish`](ShardSink::finish) succeeds. Errors of a remote disk show at the following calls.
    pub async fn create(
        &self,
        location: DiskLocation,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> Result<ShardSink, ShardError> {
        let place = Place { location, name };
        if location.node == self.inner.own {
            let writer = self.inner.local.create(location.disk, name, profile, block_size_bytes).await?;
            Ok(ShardSink::local(place, writer, self.inner.metrics.clone()))
        } else {
            let (peers, members) = (self.inner.peers.clone(), self.inner.members.clone());
            Ok(ShardSink::remote(place, profile, block_size_bytes, peers, members, self.inner.metrics.clone()))
        }
    }

    /// Reads blocks of a shard, verified. A range of any length; of a peer at most a few MiB are fetched at a time,
    /// one after the other.
    pub async fn read(
        &self,
        location: DiskLocation,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> Result<Vec<Bytes>, ShardError> {
        if location.node == self.inner.own {
            return self.inner.local.read(location.disk, name, geometry, blocks).await;
        }
        let place = Place { location, name };
        let per_call = (limits::READ_LIMIT_BYTES / u64::from(geometry.block_size_bytes.max(1))).max(1);
        let mut found = Vec::with_capacity(usize::try_from(blocks.end.saturating_sub(blocks.start)).unwrap_or(0));
        let mut next = blocks.start;
        while next < blocks.end {
            let end = blocks.end.min(next.saturating_add(per_call));
            found.extend(self.read_remote(place, geometry, next..end).await?);
            next = end;
        }
        Ok(found)
    }

    async fn read_remote(
        &self,
        place: Place,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> Result<Vec<Bytes>, ShardError> {
        let Place { location, name } = place;
        let answer = self.inner.peers.read_blocks(location, name, geometry, blocks.clone()).await;
        let outcome = match answer {
            Ok(answer) => self.verify(place, answer, blocks).await,
            Err(error) => Err(failed(&self.inner.members, place, &error)),
        };
        self.inner.metrics.read("remote", &outcome);
        outcome
    }

    async fn verify(&self, place: Place, answer: Vec<Block>, blocks: Range<u64>) -> Result<Vec<Bytes>, ShardError> {
        let name = place.name;
        let verified = self
            .inner
            .exec
            .run(move || {
                let mut found = Vec::with_capacity(answer.len());
                for (index, block) in blocks.zip(answer) {
                    if checksum(&name, index, &block.bytes) != block.checksum {
                        return Err(index);
                    }
                    found.push(block.bytes);
                }
                Ok(found)
            })
            .await;
        verified.map_err(|block| {
            self.inner.metrics.corrupt(&place, "received block does not match its checksum");
            ShardError::Corrupt { place, message: format!("block {block} was damaged on its way") }
        })
    }

    /// Removes shard files of one node; missing ones are no error.
    pub async fn delete(&self, node: NodeId, shards: Vec<(DiskId, ShardName)>) -> Result<(), ShardError> {
        if node == self.inner.own {
            return self.inner.local.delete(shards).await;
        }
        for some in shards.chunks(limits::DELETE_LIMIT) {
            let Some((disk, name)) = some.first().copied() else { break };
            let place = Place { location: DiskLocation { node, disk }, name };
            self.inner
                .peers
                .delete_shards(node, some)
                .await
                .map_err(|error| failed(&self.inner.members, place, &error))?;
        }
        Ok(())
    }
}
