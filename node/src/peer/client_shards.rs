//! The way out for shards: writing, reading and removing shard files of peers, on the bulk connection.

use std::ops::Range;

use futures_util::stream::{self, StreamExt};
use raft::catalog::DiskLocation;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::shard::{Block, DiskId, Geometry, ShardName};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::channel::Link;
use super::client::refused;
use super::outgoing::Outgoing;
use super::proto::shard_holder_client::ShardHolderClient;
use super::proto::write_shard_frame::Step;
use super::{PeerError, Peers, Refusal, convert, limits, proto};

/// One step of writing a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardStep {
    /// The next blocks, at most [`limits::SHARD_FRAME_LIMIT_BYTES`] together.
    Blocks(Vec<Block>),
    /// All were sent: make the shard durable.
    Finish {
        /// How many blocks there were.
        blocks: u64,
    },
}

impl Peers {
    /// Writes a shard of a peer from a queue of steps, and returns the length of its file. A queue that closes without
    /// a finish gives the shard up; the peer removes what it has of it. Bounds on time are the caller's.
    pub async fn write_shard(
        &self,
        location: DiskLocation,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
        steps: mpsc::Receiver<ShardStep>,
    ) -> Result<u64, PeerError> {
        let node = location.node;
        let link = self.link(node, None)?;
        let header = Step::Header(convert::header(location, &name, profile, block_size_bytes));
        let metrics = self.metrics().clone();
        let steps = ReceiverStream::new(steps).map(move |step| match step {
            ShardStep::Blocks(blocks) => {
                metrics.sent(blocks.iter().map(|block| block.bytes.len()).sum());
                Step::Blocks(proto::Blocks { blocks: convert::blocks(blocks) })
            }
            ShardStep::Finish { blocks } => Step::Finish(proto::Finish { blocks }),
        });
        let frames = stream::iter([header]).chain(steps).map(|step| proto::WriteShardFrame { step: Some(step) });
        let answer = bulk(&link).write(self.request(node, Outgoing::new(frames))).await;
        let outcome = Self::outcome(node, answer).map(|answer| answer.written_bytes);
        self.count("write_shard", &outcome);
        outcome
    }

    /// Reads blocks of a peer's shard, verified there, with their checksums. At most [`limits::READ_LIMIT_BYTES`].
    pub async fn read_blocks(
        &self,
        location: DiskLocation,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> Result<Vec<Block>, PeerError> {
        let node = location.node;
        let link = self.link(node, None)?;
        let invalid = |error: convert::Malformed| refused(node, Refusal::Invalid, error.to_string());
        let request = convert::read_request(location, &name, geometry, &blocks).map_err(invalid)?;
        let expected = request.blocks as usize;
        let request = self.request(node, request);
        let mut client = bulk(&link);
        let answer = self.complete(node, "read_blocks", limits::READ_DEADLINE, client.read_blocks(request)).await?;
        let found = convert::sealed(answer.blocks, geometry.block_size_bytes).map_err(invalid)?;
        let lengths_hold = found.len() == expected
            && blocks
                .zip(&found)
                .all(|(block, found)| found.bytes.len() == geometry.block_length_bytes(block) as usize);
        if !lengths_hold {
            return Err(refused(
                node,
                Refusal::Failed,
                "it answered with other blocks than those asked for".to_owned(),
            ));
        }
        self.metrics().received(found.iter().map(|block| block.bytes.len()).sum());
        Ok(found)
    }

    /// Removes shard files of a peer, at most [`limits::DELETE_LIMIT`]; missing ones are no error.
    pub async fn delete_shards(&self, node: NodeId, shards: &[(DiskId, ShardName)]) -> Result<(), PeerError> {
        let link = self.link(node, None)?;
        let names = shards.iter().map(|(disk, name)| convert::shard_name(*disk, name)).collect();
        let request = self.request(node, proto::DeleteShardsRequest { names });
        let mut client = bulk(&link);
        self.complete(node, "delete_shards", limits::DELETE_DEADLINE, client.delete(request)).await?;
        Ok(())
    }
}

fn bulk(link: &Link) -> ShardHolderClient<Channel> {
    let limit = usize::try_from(limits::READ_LIMIT_BYTES).unwrap_or(usize::MAX) + limits::FRAMING_BYTES;
    ShardHolderClient::new(link.bulk.clone()).max_decoding_message_size(limit)
}
