//! A run of new extents of one object.
//!
//! Hashing and coding of a batch run beside each other. An extent that is full, or that lost a holder, is closed
//! (synced) in the background while the next one is filled; one closing at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use storage::shard::{ExtentIndex, ObjectId};
use storage::switch;
use tokio::task::JoinHandle;

use super::extent::{Avoided, ExtentWriter};
use super::stripes::Cutter;
use super::{WriteError, Written, leftovers};
use crate::gateway::core::Core;
use crate::gateway::hash::RunningDigest;

/// Writes bytes as extents.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    core: Arc<Core>,
    object: ObjectId,
    next: ExtentIndex,
    hash: Option<RunningDigest>,
    cutter: Cutter,
    open: Option<ExtentWriter>,
    closing: Option<JoinHandle<Result<Written, WriteError>>>,
    written: Vec<Written>,
    avoided: Avoided,
    stripe_bytes: Arc<AtomicUsize>,
}

impl ObjectWriter {
    /// Writes extents from index `next` on. `hash` is the state before the first byte.
    pub(super) fn new(core: &Arc<Core>, object: ObjectId, next: ExtentIndex, hash: RunningDigest) -> Self {
        let data_shards =
            core.place(&std::collections::BTreeSet::new(), object, next).map_or(1, |it| it.profile.data());
        let stripe = core.options.block_size_bytes as usize * data_shards;
        Self {
            core: Arc::clone(core),
            object,
            next,
            hash: Some(hash),
            cutter: Cutter::default(),
            open: None,
            closing: None,
            written: Vec::new(),
            avoided: Avoided::default(),
            stripe_bytes: Arc::new(AtomicUsize::new(stripe)),
        }
    }

    /// Data bytes of a stripe as things stand now; changes as the profile does.
    pub(super) fn stripe_bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.stripe_bytes)
    }

    /// The object.
    pub(super) const fn object(&self) -> ObjectId {
        self.object
    }

    /// Disks that failed it.
    pub(super) const fn avoided(&self) -> &Avoided {
        &self.avoided
    }

    /// Index of the extent behind the last.
    pub(super) const fn next(&self) -> ExtentIndex {
        self.next
    }

    /// Hashes and writes a batch.
    pub(super) async fn push(&mut self, batch: Bytes) -> Result<(), WriteError> {
        self.cutter.push(batch.clone());
        self.hash_beside_writing(batch, false).await
    }

    /// Hashes and writes the last bytes, nothing may follow.
    pub(super) async fn end(&mut self, rest: Bytes) -> Result<(), WriteError> {
        if !rest.is_empty() {
            self.cutter.push(rest.clone());
        }
        self.hash_beside_writing(rest, true).await
    }

    /// Hashes the last bytes, which the caller keeps elsewhere, nothing may follow.
    pub(super) fn end_unwritten(&mut self, rest: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(rest);
        }
    }

    /// State of the hash over all bytes so far.
    pub(super) fn hash(&self) -> Result<&RunningDigest, WriteError> {
        self.hash.as_ref().ok_or_else(|| WriteError::internal("an earlier batch was not hashed to its end"))
    }

    /// Waits until all extents are synced.
    pub(super) async fn sync(&mut self) -> Result<(), WriteError> {
        if let Some(extent) = self.open.take() {
            self.close(extent).await?;
        }
        self.closed().await
    }

    /// The extents that are synced, in order.
    pub(super) fn written(&self) -> &[Written] {
        &self.written
    }

    /// Puts an extent that was written anew in the place of a written one.
    pub(super) fn replace(&mut self, position: usize, anew: Written) {
        let old = std::mem::replace(&mut self.written[position], anew);
        leftovers::discard(&self.core, self.object, old.index, &old.coded);
    }

    /// Gives everything up and removes what was written.
    pub(super) async fn abandon(mut self) {
        if let Some(extent) = self.open.take() {
            extent.abandon();
        }
        // An error here is not new to anyone: the extent that fails to close removes its own shards.
        let _already_abandoned = self.closed().await;
        for written in &self.written {
            leftovers::discard(&self.core, self.object, written.index, &written.coded);
        }
    }

    async fn hash_beside_writing(&mut self, bytes: Bytes, end: bool) -> Result<(), WriteError> {
        let mut hash =
            self.hash.take().ok_or_else(|| WriteError::internal("an earlier batch was not hashed to its end"))?;
        let exec = self.core.exec;
        let hashed = exec.run(move || {
            hash.update(&bytes);
            hash
        });
        let (hash, written) = tokio::join!(hashed, self.write(end));
        self.hash = Some(hash);
        written
    }

    async fn write(&mut self, end: bool) -> Result<(), WriteError> {
        while !self.cutter.is_empty() {
            let mut extent = match self.open.take() {
                Some(extent) => extent,
                None => self.begin().await?,
            };
            let Some(stripes) = self.cutter.cut(extent.stripe_bytes(), extent.room_bytes(), end) else {
                self.open = Some(extent);
                break;
            };
            let short = stripes.len() % extent.stripe_bytes() != 0;
            if let Err(error) = extent.append(stripes, &mut self.avoided).await {
                extent.abandon();
                return Err(error);
            }
            if extent.has_lost() {
                self.core.metrics.cut_extents.inc();
            }
            let full = extent.room_bytes() == 0 || switch::rare("gateway.write.cut_extent");
            if short || extent.has_lost() || full {
                self.close(extent).await?;
            } else {
                self.open = Some(extent);
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<ExtentWriter, WriteError> {
        let extent = ExtentWriter::begin(&self.core, self.object, self.next, &mut self.avoided).await?;
        let next = self.next.0.checked_add(1).ok_or_else(|| WriteError::internal("too many extents"))?;
        self.next = ExtentIndex(next);
        self.stripe_bytes.store(extent.stripe_bytes(), Ordering::Relaxed);
        Ok(extent)
    }

    async fn close(&mut self, extent: ExtentWriter) -> Result<(), WriteError> {
        if let Err(error) = self.closed().await {
            extent.abandon();
            return Err(error);
        }
        self.closing = Some(self.core.tasks.spawn(extent.finish()));
        Ok(())
    }

    async fn closed(&mut self) -> Result<(), WriteError> {
        let Some(closing) = self.closing.take() else { return Ok(()) };
        let written = closing.await.map_err(WriteError::internal)??;
        self.avoided.learn(&written);
        self.written.push(written);
        Ok(())
    }
}

/// Whole stripes of about the wished size; one stripe each when many uploads share the node at the moment.
pub(super) fn batch_size(core: &Core, stripe_bytes: usize) -> usize {
    let uploads = usize::try_from(core.metrics.uploads_active.get()).unwrap_or(0).max(1);
    let fair = (core.options.write_budget_bytes / (4 * uploads)).min(core.options.batch_size_bytes);
    let wished = if switch::rare("gateway.write.tiny_batch") { 0 } else { fair };
    (wished / stripe_bytes).max(1) * stripe_bytes
}
