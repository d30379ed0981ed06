//! The shards of the world, and what goes wrong with them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::DiskLocation;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::shard::{DiskId, Geometry, ShardName, checksum};
use tokio::time::sleep;

use super::world::{Shard, World};
use crate::environment::BoxFuture;
use crate::gateway::holders::{ShardStore, Sink};
use crate::shards::{Block, Place, ShardError};

impl ShardStore for Arc<World> {
    fn create(
        &self,
        location: DiskLocation,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> BoxFuture<'_, Result<Box<dyn Sink>, ShardError>> {
        Box::pin(async move {
            let place = Place { location, name };
            self.check_reachable(place)?;
            let shard = Shard { profile, block_size_bytes, blocks: Vec::new(), finished: false };
            let before = self.state().shards.insert((location, name), shard);
            assert!(before.is_none(), "a shard is written once");
            Ok(Box::new(WorldSink { world: Arc::clone(self), place, finished: false }) as Box<dyn Sink>)
        })
    }

    fn read(
        &self,
        location: DiskLocation,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ShardError>> {
        Box::pin(async move {
            let place = Place { location, name };
            self.check_reachable(place)?;
            if self.state().slow.contains(&location.node) {
                sleep(Duration::from_secs(10)).await;
            }
            let mut state = self.state();
            state.reads.push((location, name, blocks.clone()));
            let missing = || ShardError::Missing { place, message: "no such file".to_owned() };
            let shard = state.shards.get(&(location, name)).filter(|shard| shard.finished).ok_or_else(missing)?;
            assert_eq!((shard.profile, shard.block_size_bytes), (geometry.profile, geometry.block_size_bytes));
            assert_eq!(shard.blocks.len() as u64, geometry.stripes());
            let mut found = Vec::new();
            for index in blocks {
                let block = &shard.blocks[usize::try_from(index).unwrap()];
                if checksum(&name, index, &block.bytes) != block.checksum {
                    return Err(ShardError::Corrupt { place, message: format!("block {index}") });
                }
                assert_eq!(block.bytes.len(), geometry.block_length_bytes(index) as usize);
                found.push(block.bytes.clone());
            }
            Ok(found)
        })
    }

    fn delete(&self, node: NodeId, shards: Vec<(DiskId, ShardName)>) -> BoxFuture<'_, Result<(), ShardError>> {
        Box::pin(async move {
            for (disk, name) in shards {
                let location = DiskLocation { node, disk };
                self.check_reachable(Place { location, name })?;
                self.state().shards.remove(&(location, name));
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct WorldSink {
    world: Arc<World>,
    place: Place,
    finished: bool,
}

impl Sink for WorldSink {
    fn append(&mut self, blocks: Vec<Block>) -> BoxFuture<'_, Result<(), ShardError>> {
        Box::pin(async move {
            drop(self.world.gate.acquire().await.unwrap());
            tokio::task::yield_now().await;
            let place = self.place;
            self.world.check_reachable(place)?;
            self.world.use_up(place, |state| &mut state.appends_left)?;
            if let Some(left) = self.world.state().refusals_left.get_mut(&place.location.node).filter(|left| **left > 0)
            {
                *left -= 1;
                return Err(ShardError::Busy { place, message: "too many shards are being written".to_owned() });
            }
            let mut state = self.world.state();
            if state.full.contains(&place.location.disk) {
                return Err(ShardError::NoSpace { place, message: "disk full".to_owned() });
            }
            // Copied, as a disk or a wire does, so that the budget's share is given back.
            let copies = blocks.into_iter().map(|block| Block { bytes: Bytes::copy_from_slice(&block.bytes), ..block });
            state.shards.get_mut(&(place.location, place.name)).unwrap().blocks.extend(copies);
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), ShardError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.world.check_reachable(self.place)?;
            self.world.use_up(self.place, |state| &mut state.finishes_left)?;
            let mut state = self.world.state();
            if state.unsyncable.contains(&self.place.location.disk) {
                drop(state);
                return Err(ShardError::Io { place: self.place, message: "fsync: input/output error".to_owned() });
            }
            state.shards.get_mut(&(self.place.location, self.place.name)).unwrap().finished = true;
            self.finished = true;
            drop(state);
            Ok(())
        })
    }
}

impl Drop for WorldSink {
    fn drop(&mut self) {
        if !self.finished {
            self.world.state().shards.remove(&(self.place.location, self.place.name));
        }
    }
}
