//! Single shards of an extent brought to other places: copied from where they are, or rebuilt from the others.
//!
//! Memory is a window and its parity, within the node's budgets. Every block is read verified, gets its checksum under
//! the new name, and is checked against it by the holder; when the shard is synced its last block is read back. What was
//! written is no part of the extent until the catalog says so.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use raft::catalog::{CodedExtent, DiskLocation, ShardMove};
use storage::codec::Codec;
use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex, ShardName, checksum};

use super::WriteError;
use super::extent::{guarded, note};
use super::leftovers::discard_shards;
use super::pace::Stint;
use super::stripes::Coding;
use crate::gateway::core::Core;
use crate::gateway::error::ReadError;
use crate::gateway::holders::Sink;
use crate::gateway::read::{ExtentSource, report};
use crate::shards::{Block, ShardError};

/// Where a shard's blocks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// From the shard itself.
    Copy,
    /// From the other shards.
    Rebuild,
}

/// A shard to be brought elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The shard.
    pub(crate) shard: ShardIndex,
    /// Where to.
    pub(crate) to: DiskLocation,
    /// Where from.
    pub(crate) how: How,
}

/// Shards that were written and synced, for the catalog to refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relocated {
    /// Attempt that wrote them.
    pub(crate) attempt: Attempt,
    /// Where they rest.
    pub(crate) moves: Vec<ShardMove>,
}

impl Relocated {
    /// Their files.
    pub(crate) fn names(&self, object: ObjectId, extent: ExtentIndex) -> Vec<(DiskLocation, ShardName)> {
        let name = |moved: &ShardMove| ShardName { object, extent, attempt: moved.to.attempt, shard: moved.shard };
        self.moves.iter().map(|moved| (moved.to.on(), name(moved))).collect()
    }
}

/// Why shards could not be brought elsewhere. Nothing of them is left.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RelocateError {
    /// A new place failed.
    #[error("shard cannot be written: {0}")]
    Target(ShardError),
    /// The node of a new place died.
    #[error("node {} died while a shard was written to it", .0.node)]
    Died(DiskLocation),
    /// What is left of the extent cannot be read.
    #[error(transparent)]
    Source(#[from] ReadError),
    /// A defect.
    #[error(transparent)]
    Internal(WriteError),
}

/// Brings shards of an extent to other places. A shard that was to be copied and cannot be read is rebuilt.
pub(crate) async fn relocate(
    core: &Arc<Core>,
    object: ObjectId,
    index: ExtentIndex,
    coded: &CodedExtent,
    transfers: &[Transfer],
    stint: &mut Stint,
) -> Result<Relocated, RelocateError> {
    let source = ExtentSource { object, index, coded: Arc::new(coded.clone()) };
    // Whoever reads k shards to rebuild one has all it takes to make the others.
    if transfers.iter().all(|transfer| transfer.how == How::Copy) {
        let mut writing = Writing::begin(core, &source, transfers).await?;
        if writing.copy(stint).await? {
            return writing.finish().await;
        }
    }
    let mut writing = Writing::begin(core, &source, transfers).await?;
    writing.rebuild(stint).await?;
    writing.finish().await
}

/// The shards being written. Dropped, it leaves nothing behind.
struct Writing<'a> {
    core: &'a Arc<Core>,
    source: &'a ExtentSource,
    attempt: Attempt,
    /// Each with its place.
    sinks: Vec<(ShardIndex, DiskLocation, Box<dyn Sink>)>,
    stripes: u64,
}

impl<'a> Writing<'a> {
    async fn begin(
        core: &'a Arc<Core>,
        source: &'a ExtentSource,
        transfers: &[Transfer],
    ) -> Result<Self, RelocateError> {
        let attempt = core.attempt();
        let geometry = source.coded.geometry;
        let begun = transfers.iter().map(|Transfer { shard, to, .. }| async move {
            let name = ShardName { object: source.object, extent: source.index, attempt, shard: *shard };
            let sink = core.store.create(*to, name, geometry.profile, geometry.block_size_bytes).await;
            sink.map(|sink| (*shard, *to, sink))
        });
        let begun: Result<Vec<_>, ShardError> = join_all(begun).await.into_iter().collect();
        let sinks = begun.map_err(|failure| failed(core, failure))?;
        Ok(Self { core, source, attempt, sinks, stripes: 0 })
    }

    fn name(&self, shard: ShardIndex) -> ShardName {
        ShardName { object: self.source.object, extent: self.source.index, attempt: self.attempt, shard }
    }

    /// Copies every shard from where it is. False when one of them cannot be read there.
    async fn copy(&mut self, stint: &mut Stint) -> Result<bool, RelocateError> {
        let geometry = self.source.coded.geometry;
        let per_window = self.core.options.window_size_bytes / u64::from(geometry.block_size_bytes).max(1);
        let mut next = 0;
        while next < geometry.stripes() {
            let blocks = next..geometry.stripes().min(next + per_window.max(1));
            next = blocks.end;
            for position in 0..self.sinks.len() {
                let shard = self.sinks[position].0;
                let (Some(from), Some(name)) = (
                    self.source.coded.location(shard).copied(),
                    self.source.coded.name(self.source.object, self.source.index, shard),
                ) else {
                    return Ok(false);
                };
                let bytes: u64 = blocks.clone().map(|stripe| u64::from(geometry.block_length_bytes(stripe))).sum();
                let share = self.core.copies.share(usize::try_from(bytes).unwrap_or(usize::MAX)).await;
                let found = match self.core.store.read(from.on(), name, geometry, blocks.clone()).await {
                    Ok(found) => share.own(found),
                    Err(failure) => {
                        if failure.is_unreachable() {
                            self.core.roster.report_failure(from.node);
                        } else {
                            report(self.core, self.source, &failure);
                        }
                        return Ok(false);
                    }
                };
                let (name, first) = (self.name(shard), blocks.start);
                let summed = self.core.exec.run(move || {
                    let block =
                        |(stripe, bytes): (u64, Bytes)| Block { checksum: checksum(&name, stripe, &bytes), bytes };
                    (first..).zip(found).map(block).collect::<Vec<Block>>()
                });
                let summed = summed.await;
                self.append(position, summed).await?;
                stint.moved(self.core, bytes, bytes).await;
            }
        }
        Ok(true)
    }

    /// Makes every shard from the data of the extent.
    async fn rebuild(&mut self, stint: &mut Stint) -> Result<(), RelocateError> {
        let geometry = self.source.coded.geometry;
        let coding = Coding {
            codec: Arc::new(Codec::new(geometry.profile)),
            block_size_bytes: geometry.block_size_bytes,
            name: self.name(ShardIndex(0)),
        };
        for window in self.source.windows(self.core) {
            let pieces = self.source.fetch(self.core, &window).await?;
            let read: usize = pieces.iter().map(Bytes::len).sum();
            let data = self.core.exec.run(move || pieces.concat()).await;
            // The windows of a whole extent are whole stripes. Parity takes at most as much again.
            let data = self.core.budget.count(data, read).await;
            let (coder, first) = (coding.clone(), self.stripes);
            let coded = self.core.exec.run(move || coder.code(&data, first)).await;
            let mut coded = coded.map_err(|error| RelocateError::Internal(WriteError::internal(error)))?;
            self.stripes += read.div_ceil(coding.stripe_bytes()) as u64;
            let mut written = 0;
            for position in 0..self.sinks.len() {
                let shard = usize::from(self.sinks[position].0.0);
                let blocks = coded.get_mut(shard).map(std::mem::take).unwrap_or_default();
                written += blocks.iter().map(|block| block.bytes.len() as u64).sum::<u64>();
                self.append(position, blocks).await?;
            }
            stint.moved(self.core, read as u64, written).await;
        }
        Ok(())
    }

    async fn append(&mut self, position: usize, blocks: Vec<Block>) -> Result<(), RelocateError> {
        let core = self.core;
        let (_, to, sink) = &mut self.sinks[position];
        match guarded(core, to.node, sink.as_mut(), blocks).await {
            Ok(()) => Ok(()),
            Err(Some(failure)) => Err(failed(core, failure)),
            Err(None) => Err(RelocateError::Died(*to)),
        }
    }

    /// Syncs every shard and reads its end back.
    async fn finish(mut self) -> Result<Relocated, RelocateError> {
        let (core, attempt) = (self.core, self.attempt);
        let (geometry, sinks) = (self.source.coded.geometry, std::mem::take(&mut self.sinks));
        let moved = sinks.iter().map(|(shard, to, _)| ShardMove { shard: *shard, to: to.shard(attempt) });
        let mut moves: Vec<ShardMove> = moved.collect();
        moves.sort_by_key(|moved| moved.shard);
        let relocated = Relocated { attempt, moves };
        let finished = sinks.into_iter().map(|(shard, to, sink)| {
            let name = self.name(shard);
            async move {
                let synced_and_read = async {
                    sink.finish().await?;
                    let last = geometry.stripes().saturating_sub(1);
                    core.store.read(to, name, geometry, last..geometry.stripes()).await.map(drop)
                };
                tokio::select! {
                    outcome = synced_and_read => outcome.map_err(|failure| failed(core, failure)),
                    () = core.roster.died(to.node) => Err(RelocateError::Died(to)),
                }
            }
        });
        let finished: Result<Vec<()>, RelocateError> = join_all(finished).await.into_iter().collect();
        if let Err(error) = finished {
            discard_shards(core, relocated.names(self.source.object, self.source.index));
            return Err(error);
        }
        Ok(relocated)
    }
}

fn failed(core: &Core, failure: ShardError) -> RelocateError {
    note(core, &failure);
    RelocateError::Target(failure)
}

impl RelocateError {
    /// The disk that is to be left alone for a while, if one is at fault.
    pub(crate) fn at_fault(&self) -> Option<DiskLocation> {
        match self {
            Self::Target(failure) if !failure.is_busy() => Some(failure.place().location),
            Self::Died(to) => Some(*to),
            Self::Target(_) | Self::Source(_) | Self::Internal(_) => None,
        }
    }
}
