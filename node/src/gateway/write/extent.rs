//! One extent being written to its holders.
//!
//! A holder that fails is left behind: the extent goes on with the others, and its owner cuts it at the next stripe.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use raft::catalog::CodedExtent;
use storage::codec::{Codec, Profile};
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName};
use storage::switch;
use tokio::time::sleep;
use tracing::warn;

use super::stripes::Coding;
use super::{WriteError, Written, leftovers};
use crate::gateway::core::Core;
use crate::gateway::holders::Sink;
use crate::gateway::placement::Placement;
use crate::shards::{Block, ShardError};

/// Placements that are tried before holders that refuse to begin are given up.
const PLACEMENTS_TRIED_MAX: usize = 8;
/// Rest before a node that has too much to do is asked again.
const BUSY_REST: Duration = Duration::from_secs(1);

/// An extent in the making.
#[derive(Debug)]
pub(super) struct ExtentWriter {
    core: Arc<Core>,
    index: ExtentIndex,
    placement: Placement,
    coding: Coding,
    /// By shard index; `None` once lost.
    sinks: Vec<Option<Box<dyn Sink>>>,
    /// Why a shard was last lost, unless its holder died.
    failure: Option<ShardError>,
    /// Disks that were lost without their fault.
    busy: BTreeSet<DiskId>,
    length_bytes: u64,
    stripes: u64,
}

/// Disks that failed a write of this upload. They are avoided until there is no safe place without them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Avoided {
    disks: BTreeSet<DiskId>,
    forgiven: bool,
    /// A node had too much to do: nothing is at fault, but the next extent is to be begun later.
    busy: bool,
}

impl Avoided {
    fn place(&mut self, core: &Core, object: ObjectId, index: ExtentIndex) -> Result<Placement, WriteError> {
        match core.place(&self.disks, object, index) {
            Err(_) if !self.disks.is_empty() && !self.forgiven => {
                // What failed may have been a moment's weakness: try everything once more.
                self.forgiven = true;
                self.disks.clear();
                Ok(core.place(&self.disks, object, index)?)
            }
            placed => Ok(placed?),
        }
    }

    /// Parity that an extent must have to be acknowledged now.
    pub(super) fn parity(&self, core: &Core, object: ObjectId, index: ExtentIndex) -> u8 {
        core.parity(&self.disks, object, index)
    }

    /// Learns from what became of an extent.
    pub(super) fn learn(&mut self, written: &Written) {
        self.disks.extend(written.failed.iter().copied());
        self.busy |= written.failed.len() < written.lost.len();
    }

    fn note(&mut self, core: &Core, failure: &ShardError) {
        note(core, failure);
        if failure.is_busy() {
            self.busy = true;
        } else {
            self.disks.insert(failure.place().location.disk);
        }
    }

    /// Gives a node that had too much to do some time.
    async fn rest(&mut self) {
        if std::mem::take(&mut self.busy) {
            sleep(BUSY_REST).await;
        }
    }
}

pub(super) fn note(core: &Core, failure: &ShardError) {
    let location = failure.place().location;
    if failure.is_unreachable() {
        core.roster.report_failure(location.node);
    }
    warn!(node = %location.node, disk = %location.disk, error = %failure, "shard cannot be written");
}

impl ExtentWriter {
    /// Begins an extent on what is live now.
    pub(super) async fn begin(
        core: &Arc<Core>,
        object: ObjectId,
        index: ExtentIndex,
        avoided: &mut Avoided,
    ) -> Result<Self, WriteError> {
        let mut tried = 0;
        loop {
            avoided.rest().await;
            let placement = avoided.place(core, object, index)?;
            let attempt = core.attempt();
            let name = ShardName { object, extent: index, attempt, shard: ShardIndex(0) };
            let block_size_bytes = core.options.block_size_bytes;
            let coding = Coding { codec: Arc::new(Codec::new(placement.profile)), block_size_bytes, name };
            let begun = (0..).zip(&placement.shards).map(|(shard, location)| {
                let name = ShardName { shard: ShardIndex(shard), ..name };
                core.store.create(*location, name, placement.profile, block_size_bytes)
            });
            let begun = join_all(begun).await;
            let failures: Vec<ShardError> = begun.iter().filter_map(|sink| sink.as_ref().err().cloned()).collect();
            for failure in &failures {
                avoided.note(core, failure);
            }
            let Some(failure) = failures.into_iter().next() else {
                let sinks = begun.into_iter().map(Result::ok).collect();
                let core = Arc::clone(core);
                return Ok(Self {
                    core,
                    index,
                    placement,
                    coding,
                    sinks,
                    failure: None,
                    busy: BTreeSet::new(),
                    length_bytes: 0,
                    stripes: 0,
                });
            };
            tried += 1;
            if tried == PLACEMENTS_TRIED_MAX {
                return Err(WriteError::Holders { object, extent: index.0, failure });
            }
        }
    }

    /// Its profile.
    pub(super) const fn profile(&self) -> Profile {
        self.placement.profile
    }

    /// Data bytes of a full stripe.
    pub(super) fn stripe_bytes(&self) -> usize {
        self.coding.stripe_bytes()
    }

    /// Data bytes that it still takes: whole stripes.
    pub(super) fn room_bytes(&self) -> usize {
        let stripe = self.stripe_bytes() as u64;
        let size = (self.core.options.extent_size_bytes / stripe).max(1) * stripe;
        usize::try_from(size - self.length_bytes).unwrap_or(usize::MAX)
    }

    /// Whether a holder has failed.
    pub(super) fn has_lost(&self) -> bool {
        self.sinks.iter().any(Option::is_none)
    }

    /// Codes stripes and hands them to the holders. All stripes but the last of the extent are full.
    pub(super) async fn append(&mut self, data: Bytes, avoided: &mut Avoided) -> Result<(), WriteError> {
        let (coding, first_stripe, length) = (self.coding.clone(), self.stripes, data.len());
        let coded = self.core.exec.run(move || coding.code(&data, first_stripe)).await;
        let shards = coded.map_err(WriteError::internal)?;
        self.stripes += length.div_ceil(self.stripe_bytes()) as u64;
        self.length_bytes += length as u64;
        let core = &self.core;
        let appended = self.sinks.iter_mut().zip(&self.placement.shards).zip(shards).map(
            |((sink, location), blocks)| async move {
                match sink {
                    Some(sink) => guarded(core, location.node, sink.as_mut(), blocks).await,
                    None => Ok(()),
                }
            },
        );
        let appended = join_all(appended).await;
        for (sink, outcome) in self.sinks.iter_mut().zip(appended) {
            if let Err(failure) = outcome {
                *sink = None;
                if let Some(failure) = failure {
                    avoided.note(&self.core, &failure);
                    self.busy.extend(failure.is_busy().then_some(failure.place().location.disk));
                    self.failure = Some(failure);
                }
            }
        }
        self.enough_or_lost()
    }

    /// Syncs every shard. What was lost on the way is said in the result.
    pub(super) async fn finish(mut self) -> Result<Written, WriteError> {
        let finished = self.sinks.iter_mut().zip(&self.placement.shards).map(|(sink, location)| {
            let (core, node) = (Arc::clone(&self.core), location.node);
            let sink = sink.take();
            async move {
                let Some(sink) = sink else { return Err(None) };
                tokio::select! {
                    finished = sink.finish() => finished.map_err(|failure| {
                        note(&core, &failure);
                        Some(failure)
                    }),
                    () = core.roster.died(node) => Err(None),
                }
            }
        });
        let finished = join_all(finished).await;
        let failures = finished.iter().filter_map(|outcome| outcome.as_ref().err()?.as_ref());
        self.busy.extend(failures.filter(|failure| failure.is_busy()).map(|failure| failure.place().location.disk));
        self.failure = finished.iter().find_map(|outcome| outcome.clone().err().flatten()).or(self.failure);
        let disks = finished.iter().zip(&self.placement.shards);
        let lost: Vec<DiskId> =
            disks.filter(|(outcome, _)| is_lost(outcome)).map(|(_, location)| location.disk).collect();
        let failed = lost.iter().copied().filter(|disk| !self.busy.contains(disk)).collect();
        let coded = self.coded();
        if finished.len() - lost.len() < coded.geometry.profile.data() {
            leftovers::discard(&self.core, self.coding.name.object, self.index, &coded);
            return Err(self.lost_error());
        }
        Ok(Written { index: self.index, coded, degraded: self.placement.degraded, lost, failed })
    }

    /// Gives the extent up and removes what was written.
    pub(super) fn abandon(mut self) {
        self.sinks.clear();
        leftovers::discard(&self.core, self.coding.name.object, self.index, &self.coded());
    }

    fn coded(&self) -> CodedExtent {
        let geometry = Geometry {
            profile: self.placement.profile,
            block_size_bytes: self.coding.block_size_bytes,
            length_bytes: self.length_bytes,
        };
        CodedExtent::written(geometry, self.attempt(), &self.placement.shards)
    }

    fn attempt(&self) -> Attempt {
        self.coding.name.attempt
    }

    fn enough_or_lost(&self) -> Result<(), WriteError> {
        let holding = self.sinks.iter().flatten().count();
        if holding < self.placement.profile.data() { Err(self.lost_error()) } else { Ok(()) }
    }

    fn lost_error(&self) -> WriteError {
        let (object, extent) = (self.coding.name.object, self.index.0);
        WriteError::Lost { object, extent, profile: self.placement.profile, failure: self.failure.clone() }
    }
}

/// Whether a shard was not synced.
fn is_lost(outcome: &Result<(), Option<ShardError>>) -> bool {
    outcome.is_err() && !switch::broken("gateway.extent.count_missing_shard")
}

/// An append that ends when the holder dies. `Err(None)`: it died.
pub(super) async fn guarded(
    core: &Core,
    node: raft::id::NodeId,
    sink: &mut dyn Sink,
    blocks: Vec<Block>,
) -> Result<(), Option<ShardError>> {
    tokio::select! {
        appended = sink.append(blocks) => appended.map_err(Some),
        () = core.roster.died(node) => Err(None),
    }
}
