//! One request's writing. The request's own future receives the body and hands batches to a task; the task writes
//! them and, once it was told that the body is complete, commits.
//!
//! When the client goes away the request's future is dropped, the task sees its queue end without the word that the
//! body is complete, and removes what was written. Once it has that word, the commit happens whatever the client does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use raft::catalog::{Digest, SessionId, UploadRecord};
use storage::shard::ExtentIndex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::gather::Gather;
use super::object::{ObjectWriter, batch_size};
use crate::gateway::Body;
use crate::gateway::core::Core;
use crate::gateway::error::{BodyError, UploadError};
use crate::gateway::hash::RunningDigest;
use crate::gateway::room::Room;
use crate::members::Client;

/// Batches that wait for the task.
const QUEUE_BATCHES: usize = 1;

/// What is to become of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Purpose {
    /// The upload goes on behind them.
    Append,
    /// The upload ends with them and is published.
    Publish(Digest),
}

/// What became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Outcome {
    /// The upload stands here.
    Advanced { offset_bytes: u64 },
    /// The upload is a blob of this length.
    Published { length_bytes: u64 },
}

enum Step {
    Batch(Bytes),
    /// The rest of the body, which is complete.
    End(Bytes),
}

/// The writing of one request's body.
#[derive(Debug)]
pub(in crate::gateway) struct UploadTask {
    core: Arc<Core>,
    steps: mpsc::Sender<Step>,
    task: JoinHandle<Result<Outcome, UploadError>>,
    stripe_bytes: Arc<AtomicUsize>,
}

impl UploadTask {
    /// Begins behind the session's position, where the object has so many extents. `hash` is the state there.
    pub(in crate::gateway) fn begin(
        core: &Arc<Core>,
        session: SessionId,
        record: UploadRecord,
        extents: u32,
        hash: RunningDigest,
        purpose: Purpose,
    ) -> Self {
        let writer = ObjectWriter::new(core, record.object, ExtentIndex(extents), hash);
        let stripe_bytes = writer.stripe_bytes();
        let (steps, queue) = mpsc::channel(QUEUE_BATCHES);
        let writing =
            Writing { _active: ActiveUpload::new(core), core: Arc::clone(core), session, record, extents, purpose };
        let task = core.tasks.spawn(writing.run(writer, queue));
        Self { core: Arc::clone(core), steps, task, stripe_bytes }
    }

    /// Takes the body in, as far as there is room for it, and waits for what becomes of it.
    pub(in crate::gateway) async fn receive(self, mut body: Body, room: &Room) -> Result<Outcome, UploadError> {
        let mut gather = Gather::default();
        let mut received = 0;
        while let Some(frame) = body.next().await {
            let mut frame = frame?;
            received += frame.len() as u64;
            room.check(received)?;
            while !frame.is_empty() {
                // Asked each time: when other uploads begin, this one takes less memory from now on.
                let size = batch_size(&self.core, self.stripe_bytes.load(Ordering::Relaxed));
                if let Some(batch) = gather.take(&mut frame, size)
                    && !self.hand_over(batch, Step::Batch).await
                {
                    return self.outcome().await;
                }
            }
        }
        self.core.metrics.received.inc_by(received);
        self.hand_over(gather.rest(), Step::End).await;
        self.outcome().await
    }

    /// False when the task has ended: it failed, and its outcome says why.
    async fn hand_over(&self, bytes: Vec<u8>, step: impl FnOnce(Bytes) -> Step) -> bool {
        // Parity takes at most as much again.
        let overhead_bytes = bytes.len();
        let counted = self.core.budget.count(bytes, overhead_bytes).await;
        self.steps.send(step(counted)).await.is_ok()
    }

    async fn outcome(self) -> Result<Outcome, UploadError> {
        drop(self.steps);
        self.task.await.map_err(UploadError::internal)?
    }
}

/// The task's side.
pub(super) struct Writing {
    /// Counted from before the first byte is taken in.
    _active: ActiveUpload,
    pub(super) core: Arc<Core>,
    pub(super) session: SessionId,
    /// The session as it was when the request began.
    pub(super) record: UploadRecord,
    /// Extents committed before.
    pub(super) extents: u32,
    pub(super) purpose: Purpose,
}

impl Writing {
    async fn run(self, mut writer: ObjectWriter, mut steps: mpsc::Receiver<Step>) -> Result<Outcome, UploadError> {
        let mut batches = 0_u64;
        while let Some(step) = steps.recv().await {
            match step {
                Step::Batch(batch) => {
                    batches += 1;
                    if let Err(error) = writer.push(batch).await {
                        // The client is told; it must not wait for room in the queue.
                        drop(steps);
                        writer.abandon().await;
                        return Err(error.into());
                    }
                }
                Step::End(rest) => {
                    let inline = batches == 0 && self.fits_inline(rest.len());
                    return self.conclude(writer, rest, inline).await;
                }
            }
        }
        writer.abandon().await;
        Err(BodyError::Disconnected.into())
    }

    fn fits_inline(&self, length: usize) -> bool {
        self.record.position.offset_bytes.saturating_add(length as u64) <= self.core.options.inline_size_bytes_max
    }
}

/// Counts an upload as active while it lives.
struct ActiveUpload {
    core: Arc<Core>,
    _client: Client,
}

impl ActiveUpload {
    fn new(core: &Arc<Core>) -> Self {
        core.metrics.uploads_active.inc();
        Self { core: Arc::clone(core), _client: core.roster.clients().arrive() }
    }
}

impl Drop for ActiveUpload {
    fn drop(&mut self) {
        self.core.metrics.uploads_active.dec();
    }
}
