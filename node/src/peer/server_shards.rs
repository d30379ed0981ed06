//! The way in for shards: writing, reading and removing the shard files of this node for its peers.

use std::sync::Arc;

use storage::shard::{DiskId, ShardName};
use storage::switch;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use super::proto::write_shard_frame::Step;
use super::server::answered;
use super::{Metrics, Refusal, convert, limits, proto};
use crate::shards::{LocalShards, LocalWriter, ShardError, Verify};

/// Answers peers from this node's disks.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) shards: LocalShards,
    /// Bounds the shard files that are being written.
    pub(super) writers: Arc<Semaphore>,
    pub(super) metrics: Metrics,
}

fn shard_status(error: &ShardError) -> Status {
    let refusal = match error {
        ShardError::Missing { .. } => Refusal::Missing,
        ShardError::Corrupt { .. } => Refusal::Corrupt,
        ShardError::NoSpace { .. } => Refusal::NoSpace,
        ShardError::TimedOut { .. } => Refusal::TimedOut,
        ShardError::Busy { .. } => Refusal::Busy,
        ShardError::Unreachable { .. } | ShardError::Io { .. } => Refusal::Failed,
    };
    let message = match error {
        ShardError::Missing { message, .. }
        | ShardError::Corrupt { message, .. }
        | ShardError::NoSpace { message, .. }
        | ShardError::Unreachable { message, .. }
        | ShardError::TimedOut { message, .. }
        | ShardError::Busy { message, .. }
        | ShardError::Io { message, .. } => message,
    };
    refusal.status(message.clone())
}

impl Holder {
    async fn write_shard(self, mut frames: Streaming<proto::WriteShardFrame>) -> Result<u64, Status> {
        let permit = timeout(limits::SHARD_WRITERS_WAIT, Arc::clone(&self.writers).acquire_owned()).await;
        let _permit = permit.map_err(|_elapsed| Refusal::Busy.status("too many shards are being written"))?;
        if switch::rare("peer.shards.refuse") {
            return Err(Refusal::Busy.status("this node has too much to do"));
        }
        let Some(Step::Header(header)) = next_step(&mut frames).await? else {
            return Err(Refusal::Invalid.status("a shard begins with its header"));
        };
        let target = convert::target(&header)?;
        let created = self.shards.create(target.disk, target.name, target.profile, target.block_size_bytes).await;
        let mut writer = created.map_err(|error| shard_status(&error))?;
        let received = self.receive(&mut writer, &mut frames, target.block_size_bytes).await;
        match received {
            Ok(blocks) => writer.finish(blocks).await.map_err(|error| shard_status(&error)),
            Err(status) => {
                writer.discard().await;
                Err(status)
            }
        }
    }

    /// Takes blocks until the finish, and returns how many the sender says there were.
    async fn receive(
        &self,
        writer: &mut LocalWriter,
        frames: &mut Streaming<proto::WriteShardFrame>,
        block_size_bytes: u32,
    ) -> Result<u64, Status> {
        loop {
            match next_step(frames).await? {
                Some(Step::Blocks(blocks)) => {
                    let blocks = convert::sealed(blocks.blocks, block_size_bytes)?;
                    let length = blocks.iter().map(|block| block.bytes.len()).sum();
                    if length > limits::SHARD_FRAME_LIMIT_BYTES {
                        let limit = limits::SHARD_FRAME_LIMIT_BYTES;
                        return Err(Refusal::Invalid.status(format!("{length} bytes in a frame, {limit} are allowed")));
                    }
                    self.metrics.received(length);
                    writer.append(blocks, Verify::Check).await.map_err(|error| shard_status(&error))?;
                }
                Some(Step::Finish(finish)) => return Ok(finish.blocks),
                Some(Step::Header(_)) => return Err(Refusal::Invalid.status("a shard has one header")),
                None => return Err(Refusal::Invalid.status("the shard ended without its finish")),
            }
        }
    }

    async fn blocks(&self, request: &proto::ReadBlocksRequest) -> Result<proto::ReadBlocksAnswer, Status> {
        let (target, geometry, range) = convert::read_target(request)?;
        let read = self.shards.read_blocks(target.disk, target.name, geometry, range).await;
        let blocks = read.map_err(|error| shard_status(&error))?;
        self.metrics.sent(blocks.iter().map(|block| block.bytes.len()).sum());
        Ok(proto::ReadBlocksAnswer { blocks: convert::blocks(blocks) })
    }

    async fn remove(self, request: proto::DeleteShardsRequest) -> Result<proto::DeleteShardsAnswer, Status> {
        if request.names.len() > limits::DELETE_LIMIT {
            let limit = limits::DELETE_LIMIT;
            return Err(Refusal::Invalid.status(format!("{} shards, at most {limit} at a time", request.names.len())));
        }
        let names: Result<Vec<(DiskId, ShardName)>, _> = request.names.iter().map(convert::disk_and_shard).collect();
        self.shards.delete(names?).await.map_err(|error| shard_status(&error))?;
        Ok(proto::DeleteShardsAnswer {})
    }
}

/// The next step; `None` at the end of the stream.
async fn next_step(frames: &mut Streaming<proto::WriteShardFrame>) -> Result<Option<Step>, Status> {
    match frames.message().await? {
        Some(proto::WriteShardFrame { step: None }) => Err(Refusal::Invalid.status("an empty frame")),
        Some(proto::WriteShardFrame { step }) => Ok(step),
        None => Ok(None),
    }
}

/// Runs work that must not stop half-way when the caller goes away.
async fn apart<T: Send + 'static>(work: impl Future<Output = Result<T, Status>> + Send + 'static) -> Result<T, Status> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|_| Err(Refusal::Failed.status("the node ended the request")))
}

#[tonic::async_trait]
impl proto::shard_holder_server::ShardHolder for Holder {
    async fn write(
        &self,
        request: Request<Streaming<proto::WriteShardFrame>>,
    ) -> Result<Response<proto::WriteShardAnswer>, Status> {
        let answer = apart(self.clone().write_shard(request.into_inner())).await;
        answered(&self.metrics, "write_shard", &answer);
        answer.map(|written_bytes| Response::new(proto::WriteShardAnswer { written_bytes }))
    }

    async fn read_blocks(
        &self,
        request: Request<proto::ReadBlocksRequest>,
    ) -> Result<Response<proto::ReadBlocksAnswer>, Status> {
        let answer = self.blocks(request.get_ref()).await;
        answered(&self.metrics, "read_blocks", &answer);
        answer.map(Response::new)
    }

    async fn delete(
        &self,
        request: Request<proto::DeleteShardsRequest>,
    ) -> Result<Response<proto::DeleteShardsAnswer>, Status> {
        let answer = apart(self.clone().remove(request.into_inner())).await;
        answered(&self.metrics, "delete_shards", &answer);
        answer.map(Response::new)
    }
}
