//! One request's writing. The request's own future receives the body and hands batches to a task; the task writes
//! them and, once it was told that the body is complete, commits.
//!
//! When the client goes away the request's future is dropped, the task sees its queue end without the word that the
//! body is complete, and removes what was written. Once it has that word, the commit happens whatever the client does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use raft::catalog::{
    Advance, CodedExtent, Command, Digest, ExtentBody, NewExtent, ReplacedExtent, Response, SessionId, UploadRecord,
};
use storage::shard::ExtentIndex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use super::gather::Gather;
use super::heal::{Replaced, heal};
use super::leftovers::{discard, discard_unless_current};
use super::object::ObjectWriter;
use crate::gateway::Body;
use crate::gateway::core::{Core, unexpected};
use crate::gateway::error::{BodyError, UploadError};
use crate::gateway::hash::RunningDigest;
use crate::gateway::read::digest_of;

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
    batch_bytes: Arc<AtomicUsize>,
    room_bytes: u64,
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
        let room_bytes = core.options.object_size_bytes_max.saturating_sub(record.position.offset_bytes);
        let writer = ObjectWriter::new(core, record.object, ExtentIndex(extents), hash);
        let batch_bytes = writer.batch_bytes();
        let (steps, queue) = mpsc::channel(QUEUE_BATCHES);
        let writing = Writing { core: Arc::clone(core), session, record, extents, purpose };
        let task = core.tasks.spawn(writing.run(writer, queue));
        Self { core: Arc::clone(core), steps, task, batch_bytes, room_bytes }
    }

    /// Takes the body in and waits for what becomes of it.
    pub(in crate::gateway) async fn receive(self, mut body: Body) -> Result<Outcome, UploadError> {
        let mut gather = Gather::default();
        let mut received = 0;
        while let Some(frame) = body.next().await {
            let mut frame = frame?;
            received += frame.len() as u64;
            if received > self.room_bytes {
                return Err(UploadError::TooLarge { limit_bytes: self.core.options.object_size_bytes_max });
            }
            while !frame.is_empty() {
                let size = self.batch_bytes.load(Ordering::Relaxed);
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
struct Writing {
    core: Arc<Core>,
    session: SessionId,
    record: UploadRecord,
    /// Extents committed before.
    extents: u32,
    purpose: Purpose,
}

impl Writing {
    async fn run(self, mut writer: ObjectWriter, mut steps: mpsc::Receiver<Step>) -> Result<Outcome, UploadError> {
        let _active = ActiveUpload::new(&self.core);
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

    async fn conclude(self, mut writer: ObjectWriter, rest: Bytes, inline: bool) -> Result<Outcome, UploadError> {
        if self.purpose == Purpose::Append && inline && rest.is_empty() {
            return Ok(Outcome::Advanced { offset_bytes: self.record.position.offset_bytes });
        }
        let mut replaced = Replaced::new();
        match self.prepare(&mut writer, &mut replaced, rest, inline).await {
            Ok(advance) => self.commit(writer, replaced, advance).await,
            Err(error) => {
                for (index, written) in replaced {
                    discard(&self.core, self.record.object, index, &written.coded);
                }
                writer.abandon().await;
                Err(error)
            }
        }
    }

    /// Brings everything to stable storage and checks it.
    async fn prepare(
        &self,
        writer: &mut ObjectWriter,
        replaced: &mut Replaced,
        rest: Bytes,
        inline: bool,
    ) -> Result<Advance, UploadError> {
        let mut extents = Vec::new();
        if inline {
            writer.end_unwritten(&rest);
            if !rest.is_empty() {
                // A copy, since the catalog must not hold on to the budget's share.
                let body = ExtentBody::Inline(Bytes::copy_from_slice(&rest));
                extents.push(NewExtent { body, shortfall: None });
            }
        } else {
            writer.end(rest).await?;
        }
        let streamed = match self.purpose {
            Purpose::Publish(expected) if writer.hash()?.algorithm() == expected.algorithm() => {
                check(expected, writer.hash()?.digest())?;
                true
            }
            _ => false,
        };
        writer.sync().await?;
        heal(&self.core, writer, replaced).await?;
        for written in writer.written() {
            extents.push(NewExtent { body: ExtentBody::Coded(written.coded.clone()), shortfall: written.shortfall() });
        }
        if let Purpose::Publish(expected) = self.purpose
            && !streamed
        {
            let new = extents.iter().map(|extent| extent.body.clone());
            let object = self.record.object;
            let actual = digest_of(&self.core, expected.algorithm(), object, self.extents, new).await?;
            check(expected, actual)?;
        }
        Ok(Advance {
            expected: self.record.position,
            hash_state: writer.hash()?.state().into(),
            extents,
            replaced: replaced
                .iter()
                .map(|(index, written)| ReplacedExtent {
                    extent: *index,
                    body: written.coded.clone(),
                    shortfall: written.shortfall(),
                })
                .collect(),
            lifetime_seconds: self.core.options.upload_lifetime_seconds,
        })
    }

    async fn commit(self, writer: ObjectWriter, replaced: Replaced, advance: Advance) -> Result<Outcome, UploadError> {
        let session = self.session;
        let command = match self.purpose {
            Purpose::Append => Command::AdvanceUpload { session, advance },
            Purpose::Publish(digest) => Command::FinishUpload { session, advance, digest },
        };
        match self.core.propose(command).await {
            Ok(Response::Uploaded { position }) => Ok(Outcome::Advanced { offset_bytes: position.offset_bytes }),
            Ok(Response::Published { length_bytes, new_object }) => {
                self.core.metrics.uploads.inc();
                if !new_object {
                    // A duplicate, which the catalog discards, or a repetition, of which it knows nothing.
                    let core = Arc::clone(&self.core);
                    let ours = proposed(&writer, replaced);
                    self.core.tasks.spawn(discard_unless_current(core, self.record.object, ours));
                }
                Ok(Outcome::Published { length_bytes })
            }
            Ok(refusal) => {
                let ours = proposed(&writer, replaced);
                discard_unless_current(Arc::clone(&self.core), self.record.object, ours).await;
                self.refused(&refusal)
            }
            Err(error) if error.is_uncertain() => {
                warn!(%session, %error, "the outcome of an upload's commit is not known, its shards stay");
                Err(error.into())
            }
            Err(error) => {
                for (index, written) in replaced {
                    discard(&self.core, self.record.object, index, &written.coded);
                }
                writer.abandon().await;
                Err(error.into())
            }
        }
    }

    /// Another request, or a copy of this one, came first.
    fn refused(self, refusal: &Response) -> Result<Outcome, UploadError> {
        if let Purpose::Publish(digest) = self.purpose
            && let Ok(Some(record)) = self.core.records.view().upload(self.session)
            && record.finished == Some(digest)
        {
            return Ok(Outcome::Published { length_bytes: record.position.offset_bytes });
        }
        match refusal {
            Response::UploadMoved { position } => Err(UploadError::Moved { offset_bytes: position.offset_bytes }),
            Response::UploadUnknown => Err(UploadError::Unknown),
            refusal => Err(unexpected(refusal).into()),
        }
    }
}

/// Everything that a proposal named.
fn proposed(writer: &ObjectWriter, replaced: Replaced) -> Vec<(ExtentIndex, CodedExtent)> {
    let new = writer.written().iter().map(|written| (written.index, written.coded.clone()));
    new.chain(replaced.into_iter().map(|(index, written)| (index, written.coded))).collect()
}

fn check(expected: Digest, actual: Digest) -> Result<(), UploadError> {
    if expected == actual { Ok(()) } else { Err(UploadError::DigestMismatch { expected, actual }) }
}

/// Counts an upload as active while it lives.
struct ActiveUpload {
    core: Arc<Core>,
}

impl ActiveUpload {
    fn new(core: &Arc<Core>) -> Self {
        core.metrics.uploads_active.inc();
        Self { core: Arc::clone(core) }
    }
}

impl Drop for ActiveUpload {
    fn drop(&mut self) {
        self.core.metrics.uploads_active.dec();
    }
}
