//! A shard being written: a bounded queue to the disk or peer that holds it.
//!
//! The queue holds two frames, so that the caller codes the next stripe while the last one is written; memory per
//! sink is a constant. What fails meanwhile shows at the next append or at the finish.

use std::time::Duration;

use raft::id::NodeId;
use storage::codec::Profile;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::local::Verify;
use super::{Block, LocalWriter, Metrics, Place, ShardError};
use crate::members::Members;
use crate::peer::{PeerError, Peers, Refusal, ShardStep, limits};

/// Frames that wait in the queue.
const QUEUE_FRAMES: usize = 2;
/// Once the other side has ended the write it says why within this time.
const REASON_DEADLINE: Duration = Duration::from_secs(5);

/// A shard being written. Dropping it without [`finish`](Self::finish) leaves nothing behind.
#[derive(Debug)]
pub struct ShardSink {
    place: Place,
    steps: mpsc::Sender<ShardStep>,
    task: Option<Writing>,
    blocks: u64,
}

/// The task at the other end of the queue, which ends with the length of the file.
#[derive(Debug)]
enum Writing {
    /// Ends by itself when the queue closes, so that the file is removed where blocking is allowed.
    Local(JoinHandle<Result<u64, ShardError>>),
    /// Ending it resets the stream: the peer removes its file.
    Remote(AbortOnDropHandle<Result<u64, ShardError>>),
}

impl ShardSink {
    pub(super) fn local(place: Place, writer: LocalWriter, metrics: Metrics) -> Self {
        let (steps, queue) = mpsc::channel(QUEUE_FRAMES);
        let task = tokio::spawn(async move {
            let outcome = write_local(place, writer, queue).await;
            metrics.write("local", &outcome);
            outcome
        });
        Self { place, steps, task: Some(Writing::Local(task)), blocks: 0 }
    }

    pub(super) fn remote(
        place: Place,
        profile: Profile,
        block_size_bytes: u32,
        peers: Peers,
        members: Members,
        metrics: Metrics,
    ) -> Self {
        let (steps, queue) = mpsc::channel(QUEUE_FRAMES);
        let task = tokio::spawn(async move {
            let written = peers.write_shard(place.location, place.name, profile, block_size_bytes, queue).await;
            let outcome = written.map_err(|error| failed(&members, place, &error));
            metrics.write("remote", &outcome);
            outcome
        });
        Self { place, steps, task: Some(Writing::Remote(AbortOnDropHandle::new(task))), blocks: 0 }
    }

    /// The shard.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Node that the shard goes to.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.place.location.node
    }

    /// Hands over the next blocks, in order; waits while the other side does not keep up, but not for ever. Blocks are
    /// sent in frames of some hundred KiB; few large calls are better than many small ones.
    pub async fn append(&mut self, blocks: Vec<Block>) -> Result<(), ShardError> {
        self.blocks += blocks.len() as u64;
        for frame in frames(blocks) {
            self.send(ShardStep::Blocks(frame)).await?;
        }
        Ok(())
    }

    /// Makes the shard durable: when this returns it has been synced to its disk. Returns the length of the file in
    /// bytes.
    pub async fn finish(mut self) -> Result<u64, ShardError> {
        self.send(ShardStep::Finish { blocks: self.blocks }).await?;
        self.outcome(limits::FINISH_DEADLINE).await
    }

    /// Gives the shard up; nothing of it stays. The same as dropping the sink.
    pub fn abort(self) {
        drop(self);
    }

    async fn send(&mut self, step: ShardStep) -> Result<(), ShardError> {
        match timeout(limits::APPEND_DEADLINE, self.steps.send(step)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => match self.outcome(REASON_DEADLINE).await {
                Ok(_) => Err(self.failure("the write ended before its finish")),
                Err(error) => Err(error),
            },
            Err(_elapsed) => {
                self.task = None;
                Err(ShardError::TimedOut { place: self.place, message: "it does not take more bytes".to_owned() })
            }
        }
    }

    async fn outcome(&mut self, deadline: Duration) -> Result<u64, ShardError> {
        let ended = match self.task.take() {
            Some(Writing::Local(task)) => timeout(deadline, task).await,
            Some(Writing::Remote(task)) => timeout(deadline, task).await,
            None => return Err(self.failure("the write of this shard failed before")),
        };
        match ended {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_ended)) => Err(self.failure("the write was ended with the node")),
            Err(_elapsed) => {
                Err(ShardError::TimedOut { place: self.place, message: "the write does not end".to_owned() })
            }
        }
    }

    fn failure(&self, message: &str) -> ShardError {
        ShardError::Io { place: self.place, message: message.to_owned() }
    }
}

async fn write_local(
    place: Place,
    mut writer: LocalWriter,
    mut steps: mpsc::Receiver<ShardStep>,
) -> Result<u64, ShardError> {
    while let Some(step) = steps.recv().await {
        match step {
            ShardStep::Blocks(blocks) => writer.append(blocks, Verify::Trusted).await?,
            ShardStep::Finish { blocks } => return writer.finish(blocks).await,
        }
    }
    writer.discard().await;
    Err(ShardError::Io { place, message: "given up by its writer".to_owned() })
}

/// Cuts blocks into frames of about [`limits::SHARD_FRAME_BYTES`], at least one block each.
fn frames(blocks: Vec<Block>) -> Vec<Vec<Block>> {
    let mut frames: Vec<Vec<Block>> = Vec::new();
    let mut room = 0;
    for block in blocks {
        let length = block.bytes.len();
        match frames.last_mut() {
            Some(frame) if length <= room => {
                room -= length;
                frame.push(block);
            }
            _ => {
                room = limits::SHARD_FRAME_BYTES.saturating_sub(length);
                frames.push(vec![block]);
            }
        }
    }
    frames
}

/// Translates what a peer call ended with. A broken connection is reported to the members; a call that took too long
/// is not: whether the node lives is for its heartbeats to say, which bulk data does not hold up.
pub(super) fn failed(members: &Members, place: Place, error: &PeerError) -> ShardError {
    let message = error.to_string();
    match error {
        PeerError::Refused { refusal: Refusal::Missing, .. } => ShardError::Missing { place, message },
        PeerError::Refused { refusal: Refusal::Corrupt, .. } => ShardError::Corrupt { place, message },
        PeerError::Refused { refusal: Refusal::NoSpace, .. } => ShardError::NoSpace { place, message },
        PeerError::Refused { refusal: Refusal::Busy, .. } => ShardError::Busy { place, message },
        PeerError::Refused { refusal: Refusal::TimedOut, .. } | PeerError::Timeout { .. } => {
            ShardError::TimedOut { place, message }
        }
        PeerError::Refused { refusal, .. } if *refusal != Refusal::WrongNode => ShardError::Io { place, message },
        PeerError::Refused { .. } | PeerError::Unreachable { .. } | PeerError::Lost { .. } => {
            members.report_failure(place.location.node);
            ShardError::Unreachable { place, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex, ShardName, checksum};

    use super::*;

    #[test]
    fn frames_keep_order_and_stay_small() {
        let name =
            ShardName { object: ObjectId([1; 16]), extent: ExtentIndex(0), attempt: Attempt(1), shard: ShardIndex(0) };
        let block = |length: usize, index: u64| {
            let bytes = Bytes::from(vec![0; length]);
            Block { checksum: checksum(&name, index, &bytes), bytes }
        };
        let lengths = [100, limits::SHARD_FRAME_BYTES, 7, 9, limits::SHARD_FRAME_BYTES * 2, 1];
        let blocks: Vec<Block> = lengths.iter().zip(0..).map(|(length, index)| block(*length, index)).collect();
        let framed = frames(blocks);
        let shape: Vec<Vec<usize>> =
            framed.iter().map(|frame| frame.iter().map(|block| block.bytes.len()).collect()).collect();
        assert_eq!(
            shape,
            vec![vec![100], vec![limits::SHARD_FRAME_BYTES], vec![7, 9], vec![limits::SHARD_FRAME_BYTES * 2], vec![1]]
        );
    }
}
