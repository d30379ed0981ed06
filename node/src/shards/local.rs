//! The shards on this node's own disks: every file operation and every hash runs through the environment's `Exec`.
//!
//! Both the gateway of this node and the peer server use it, so that a local and a remote shard behave alike.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use raft::catalog::ShardLocation;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::disk::{Disk, Disks};
use storage::exec::Exec;
use storage::shard::{Checksum, DiskId, Geometry, ShardName, ShardReader, ShardWriter, checksum};

use super::{Block, Metrics, Place, ShardError};

/// The shards of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalShards {
    own: NodeId,
    disks: Arc<Disks>,
    exec: Exec,
    metrics: Metrics,
}

impl LocalShards {
    /// The shards on these disks.
    #[must_use]
    pub const fn new(own: NodeId, disks: Arc<Disks>, exec: Exec, metrics: Metrics) -> Self {
        Self { own, disks, exec, metrics }
    }

    /// This node.
    #[must_use]
    pub const fn own(&self) -> NodeId {
        self.own
    }

    /// The disks.
    #[must_use]
    pub fn disks(&self) -> &Arc<Disks> {
        &self.disks
    }

    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn place(&self, disk: DiskId, name: ShardName) -> Place {
        Place { location: ShardLocation { node: self.own, disk }, name }
    }

    fn disk(&self, place: &Place) -> Result<Arc<Disk>, ShardError> {
        let disk = self.disks.get(place.location.disk).cloned();
        disk.ok_or_else(|| ShardError::Missing { place: *place, message: "the node has no such disk".to_owned() })
    }

    /// Begins to write a shard file.
    pub(crate) async fn create(
        &self,
        disk: DiskId,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> Result<LocalWriter, ShardError> {
        let place = self.place(disk, name);
        let disk = self.disk(&place)?;
        let created = self.exec.run(move || ShardWriter::create(&disk, name, profile, block_size_bytes)).await;
        let writer = created.map_err(|error| self.failed(place, &error))?;
        Ok(LocalWriter { shards: self.clone(), place, writer: Some(writer), blocks: 0 })
    }

    /// Reads blocks of a shard file, verified.
    pub async fn read(
        &self,
        disk: DiskId,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> Result<Vec<Bytes>, ShardError> {
        let blocks = self.read_blocks(disk, name, geometry, blocks).await?;
        Ok(blocks.into_iter().map(|block| block.bytes).collect())
    }

    /// Reads blocks of a shard file, verified, with the checksums that rest beside them.
    pub(crate) async fn read_blocks(
        &self,
        disk: DiskId,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> Result<Vec<Block>, ShardError> {
        let place = self.place(disk, name);
        let disk = self.disk(&place)?;
        let read = self
            .exec
            .run(move || {
                let reader = ShardReader::open(&disk, name, geometry.profile, geometry.block_size_bytes)?;
                reader.read_blocks(&geometry, blocks)
            })
            .await;
        let outcome = read.map_err(|error| self.failed(place, &error));
        self.metrics.read("local", &outcome);
        outcome
    }

    /// Removes shard files, durably; missing ones and those of unknown disks are no error.
    pub async fn delete(&self, shards: Vec<(DiskId, ShardName)>) -> Result<(), ShardError> {
        for disk in self.disks.all() {
            let names: Vec<ShardName> =
                shards.iter().filter(|(id, _)| *id == disk.id()).map(|(_, name)| *name).collect();
            let Some(first) = names.first().copied() else { continue };
            let place = self.place(disk.id(), first);
            let disk = Arc::clone(disk);
            let removed = self.exec.run(move || disk.remove_shards(&names)).await;
            removed.map_err(|error| ShardError::Io { place, message: error.to_string() })?;
        }
        Ok(())
    }

    /// Translates an error of a shard file; damage is counted and logged here.
    fn failed(&self, place: Place, error: &storage::shard::ShardError) -> ShardError {
        let message = chain(error);
        if error.is_missing() {
            ShardError::Missing { place, message }
        } else if error.is_corrupt() {
            self.metrics.corrupt(&place, &message);
            ShardError::Corrupt { place, message }
        } else if error.is_no_space() {
            ShardError::NoSpace { place, message }
        } else {
            ShardError::Io { place, message }
        }
    }
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// What is to be done with the checksums of blocks before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// They were computed on this node, from these bytes.
    Trusted,
    /// They came from a peer.
    Check,
}

/// A shard file being written. Without [`finish`](Self::finish) nothing of it stays.
pub(crate) struct LocalWriter {
    shards: LocalShards,
    place: Place,
    writer: Option<ShardWriter>,
    blocks: u64,
}

impl LocalWriter {
    /// Appends blocks. After an error the file is gone, and every further call fails.
    pub(crate) async fn append(&mut self, blocks: Vec<Block>, verify: Verify) -> Result<(), ShardError> {
        let name = self.place.name;
        let mut writer = self.writer.take().ok_or_else(|| self.over())?;
        let first = self.blocks;
        self.blocks += blocks.len() as u64;
        let written = self
            .shards
            .exec
            .run(move || {
                if verify == Verify::Check {
                    for (block, index) in blocks.iter().zip(first..) {
                        if checksum(&name, index, &block.bytes) != block.checksum {
                            return Err(Failure::Checksum { block: index });
                        }
                    }
                }
                let parts: Vec<(Checksum, &[u8])> =
                    blocks.iter().map(|block| (block.checksum, block.bytes.as_ref())).collect();
                writer.append_all(&parts).map_err(Failure::File)?;
                Ok(writer)
            })
            .await;
        self.writer = Some(written.map_err(|failure| self.failure(failure))?);
        Ok(())
    }

    /// Makes the file durable. `blocks` is how many the sender appended. Returns the length of the file in bytes.
    pub(crate) async fn finish(mut self, blocks: u64) -> Result<u64, ShardError> {
        let writer = self.writer.take().ok_or_else(|| self.over())?;
        if blocks != self.blocks {
            self.shards.exec.run(move || drop(writer)).await;
            let message = format!("{blocks} blocks were sent and {} arrived", self.blocks);
            return Err(ShardError::Io { place: self.place, message });
        }
        let finished = self.shards.exec.run(move || writer.finish()).await;
        finished.map_err(|error| self.shards.failed(self.place, &error))
    }

    /// Removes what was written.
    pub(crate) async fn discard(mut self) {
        if let Some(writer) = self.writer.take() {
            self.shards.exec.run(move || drop(writer)).await;
        }
    }

    fn over(&self) -> ShardError {
        ShardError::Io { place: self.place, message: "the write of this shard failed before".to_owned() }
    }

    fn failure(&self, failure: Failure) -> ShardError {
        let place = self.place;
        match failure {
            Failure::File(error) => self.shards.failed(place, &error),
            Failure::Checksum { block } => {
                self.shards.metrics.corrupt(&place, "received block does not match its checksum");
                ShardError::Corrupt { place, message: format!("block {block} was damaged on its way") }
            }
        }
    }
}

impl fmt::Debug for LocalWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalWriter")
            .field("place", &self.place)
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

/// Why blocks were not appended.
enum Failure {
    File(storage::shard::ShardError),
    Checksum { block: u64 },
}
