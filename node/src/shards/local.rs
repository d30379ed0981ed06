//! The shards on this node's own disks: every file operation and every hash runs through the environment's `Exec`.
//!
//! Both the gateway of this node and the peer server use it, so that a local and a remote shard behave alike. The
//! operations under way on one disk are bounded in number and in time, so that a disk that hangs takes neither the
//! threads nor the patience that the other disks need.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::DiskLocation;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::disk::{Disk, Disks};
use storage::exec::Exec;
use storage::shard::{Checksum, DiskId, Geometry, ShardFault, ShardName, ShardReader, ShardWriter, checksum};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Block, Metrics, Place, ShardError};
use crate::peer::limits;

/// Most operations under way on one disk, each of which holds a thread.
const OPERATIONS_PER_DISK: usize = 64;
/// Longest wait until a disk has room for one more.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// The shards of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalShards {
    own: NodeId,
    disks: Arc<Disks>,
    /// Room for operations, by disk.
    room: Arc<Mutex<BTreeMap<DiskId, Arc<Semaphore>>>>,
    exec: Exec,
    metrics: Metrics,
}

impl LocalShards {
    /// The shards on these disks.
    #[must_use]
    pub fn new(own: NodeId, disks: Arc<Disks>, exec: Exec, metrics: Metrics) -> Self {
        Self { own, room: Arc::default(), disks, exec, metrics }
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
        Place { location: DiskLocation { node: self.own, disk }, name }
    }

    fn disk(&self, place: &Place) -> Result<Arc<Disk>, ShardError> {
        self.disks.get(place.location.disk).ok_or_else(|| no_such_disk(place))
    }

    fn room(&self, place: &Place) -> Result<Arc<Semaphore>, ShardError> {
        let disk = place.location.disk;
        let mut rooms = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if self.disks.get(disk).is_none() {
            rooms.remove(&disk);
            return Err(no_such_disk(place));
        }
        let room = || Arc::new(Semaphore::new(OPERATIONS_PER_DISK));
        Ok(Arc::clone(rooms.entry(disk).or_insert_with(room)))
    }

    /// Waits until the disk has room for one more operation.
    async fn enter(&self, place: &Place) -> Result<OwnedSemaphorePermit, ShardError> {
        let room = self.room(place)?;
        match timeout(DISK_WAIT, room.acquire_owned()).await {
            Ok(entered) => Ok(entered.expect("the semaphore is never closed")),
            Err(_elapsed) => Err(hung(place, OPERATIONS_PER_DISK)),
        }
    }

    /// Runs work on a disk that was entered. The room is given back when the disk is done, however long the caller
    /// waits for it.
    async fn run<T: Send + 'static>(
        &self,
        place: &Place,
        entered: OwnedSemaphorePermit,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ShardError> {
        let running = self.exec.run(move || {
            let done = work();
            drop(entered);
            done
        });
        timeout(deadline, running).await.map_err(|_elapsed| hung(place, 1))
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
        let entered = self.enter(&place).await?;
        let work = move || ShardWriter::create(&disk, name, profile, block_size_bytes);
        let created = self.run(&place, entered, limits::APPEND_DEADLINE, work).await?;
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
        let outcome = self.read_from(place, geometry, blocks).await;
        self.metrics.read("local", &outcome);
        outcome
    }

    async fn read_from(&self, place: Place, geometry: Geometry, blocks: Range<u64>) -> Result<Vec<Block>, ShardError> {
        let disk = self.disk(&place)?;
        let entered = self.enter(&place).await?;
        let work = move || {
            let reader = ShardReader::open(&disk, place.name, geometry.profile, geometry.block_size_bytes)?;
            reader.read_blocks(&geometry, blocks)
        };
        let read = self.run(&place, entered, limits::READ_DEADLINE, work).await?;
        read.map_err(|error| self.failed(place, &error))
    }

    /// Reads blocks of a shard file from the disk itself and throws them away: for the scrub.
    pub(crate) async fn verify(
        &self,
        disk: DiskId,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> Result<(), VerifyError> {
        let place = self.place(disk, name);
        let undecided = |error: ShardError| VerifyError::Undecided { message: error.to_string() };
        let disk = self.disk(&place).map_err(undecided)?;
        let entered = self.enter(&place).await.map_err(undecided)?;
        let work = move || {
            let reader = ShardReader::open(&disk, name, geometry.profile, geometry.block_size_bytes)?;
            reader.verify(&geometry, blocks)
        };
        let read = self.run(&place, entered, limits::READ_DEADLINE, work).await.map_err(undecided)?;
        read.map(drop).map_err(|error| {
            let message = chain(&error);
            match error.fault() {
                Some(fault) => VerifyError::Faulty { fault, message },
                None => VerifyError::Undecided { message },
            }
        })
    }

    /// Removes shard files, durably; missing ones and those of unknown disks are no error.
    pub async fn delete(&self, shards: Vec<(DiskId, ShardName)>) -> Result<(), ShardError> {
        for disk in self.disks.all() {
            let names: Vec<ShardName> =
                shards.iter().filter(|(id, _)| *id == disk.id()).map(|(_, name)| *name).collect();
            let Some(first) = names.first().copied() else { continue };
            let place = self.place(disk.id(), first);
            let entered = self.enter(&place).await?;
            let removed =
                self.run(&place, entered, limits::DELETE_DEADLINE, move || disk.remove_shards(&names)).await?;
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

/// Why a shard was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifyError {
    /// It is not what was written.
    #[error("{message}")]
    Faulty {
        /// What is the matter.
        fault: ShardFault,
        /// The same for people.
        message: String,
    },
    /// The disk did not answer, or is gone: nothing is known about the shard.
    #[error("{message}")]
    Undecided {
        /// What went wrong.
        message: String,
    },
}

fn no_such_disk(place: &Place) -> ShardError {
    ShardError::Missing { place: *place, message: "the node has no such disk".to_owned() }
}

fn hung(place: &Place, operations: usize) -> ShardError {
    let message = format!("the disk does not answer ({operations} operations or more under way)");
    ShardError::TimedOut { place: *place, message }
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
        let (mut writer, entered) = self.enter().await?;
        let first = self.blocks;
        self.blocks += blocks.len() as u64;
        let work = move || {
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
        };
        let written = self.shards.run(&self.place, entered, limits::APPEND_DEADLINE, work).await?;
        self.writer = Some(written.map_err(|failure| self.failure(failure))?);
        Ok(())
    }

    /// Makes the file durable. `blocks` is how many the sender appended. Returns the length of the file in bytes.
    pub(crate) async fn finish(mut self, blocks: u64) -> Result<u64, ShardError> {
        if blocks != self.blocks {
            let message = format!("{blocks} blocks were sent and {} arrived", self.blocks);
            self.remove().await;
            return Err(ShardError::Io { place: self.place, message });
        }
        let (writer, entered) = self.enter().await?;
        let finished = self.shards.run(&self.place, entered, limits::FINISH_DEADLINE, move || writer.finish()).await?;
        finished.map_err(|error| self.shards.failed(self.place, &error))
    }

    /// Removes what was written.
    pub(crate) async fn discard(mut self) {
        self.remove().await;
    }

    /// The file, and room on its disk. When there is none, the file is given up.
    async fn enter(&mut self) -> Result<(ShardWriter, OwnedSemaphorePermit), ShardError> {
        if self.writer.is_none() {
            return Err(self.over());
        }
        let entered = self.shards.enter(&self.place).await;
        if entered.is_err() {
            self.remove().await;
        }
        let entered = entered?;
        let writer = self.writer.take().ok_or_else(|| self.over())?;
        Ok((writer, entered))
    }

    /// Removes the file. Should its disk not answer, that happens behind the caller's back when it does.
    async fn remove(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        let (room, exec) = (self.shards.room(&self.place), self.shards.exec);
        let removal = tokio::spawn(async move {
            let entered = match room {
                Ok(room) => room.acquire_owned().await.ok(),
                Err(_no_disk) => None,
            };
            exec.run(move || {
                drop(writer);
                drop(entered);
            })
            .await;
        });
        let _removed_later = timeout(DISK_WAIT, removal).await;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use storage::disk::{KnownDisks, RealFiles, Reserve};
    use storage::seal::Keys;
    use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

    use super::*;

    const NAME: ShardName =
        ShardName { object: ObjectId([0xab; 16]), extent: ExtentIndex(2), attempt: Attempt(7), shard: ShardIndex(0) };

    fn shards(directory: &Path) -> LocalShards {
        let mut next = 0;
        let directories = [directory.join("one"), directory.join("two")];
        let disks = Disks::open(
            Arc::new(RealFiles),
            &directories,
            &KnownDisks::default(),
            Reserve { percent: 0 },
            &Keys::clear(),
            &mut || {
                next += 1;
                [next; 16]
            },
        );
        LocalShards::new(NodeId(1), Arc::new(disks.unwrap()), Exec::inline(), Metrics::default())
    }

    fn block() -> Block {
        let bytes = Bytes::from(vec![7; 8]);
        Block { checksum: checksum(&NAME, 0, &bytes), bytes }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_is_given_up_soon_and_holds_up_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let shards = shards(directory.path());
        let [hanging, other] = [0, 1].map(|disk| shards.disks.all()[disk].id());
        let place = shards.place(hanging, NAME);
        let profile = Profile::new(1, 0).unwrap();
        let geometry = Geometry { profile, block_size_bytes: 8, length_bytes: 8 };
        let mut begun = shards.create(hanging, NAME, profile, 8).await.unwrap();
        let stuck = shards.room(&place).unwrap().acquire_many_owned(64).await.unwrap();

        let waited = tokio::time::Instant::now();
        let error = shards.read(hanging, NAME, geometry, 0..1).await.unwrap_err();
        assert!(matches!(error, ShardError::TimedOut { .. }), "{error}");
        let error = shards.create(hanging, NAME, profile, 8).await.unwrap_err();
        assert!(matches!(error, ShardError::TimedOut { .. }), "{error}");
        let error = begun.append(vec![block()], Verify::Check).await.unwrap_err();
        assert!(matches!(error, ShardError::TimedOut { .. }), "{error}");
        assert!(waited.elapsed() < Duration::from_secs(30));

        let mut writer = shards.create(other, NAME, profile, 8).await.unwrap();
        writer.append(vec![block()], Verify::Check).await.unwrap();
        writer.finish(1).await.unwrap();
        assert_eq!(shards.read(other, NAME, geometry, 0..1).await.unwrap(), [block().bytes]);

        drop(stuck);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(shards.disks.all()[0].list_shards(0xab).unwrap().is_empty(), "what was given up is removed later");
        shards.create(hanging, NAME, profile, 8).await.unwrap();
    }
}
