//! Several nodes in one process: the catalog's state machine without Raft, shards in memory, injected faults.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use raft::catalog::{
    Advance, Algorithm, Catalog, Command, Digest, DiskLocation, ExtentBody, ExtentRecord, RepositoryName, Response,
    SessionId, View,
};
use raft::id::{NodeId, RequestId};
use raft::machine::{Machine, Stamp, Transaction};
use raft::time::{Clock, Timestamp};
use storage::codec::Profile;
use storage::disk::RealFiles;
use storage::exec::Exec;
use storage::kv::{Engine, EngineOptions, Engines, MemoryEngines};
use storage::shard::{DiskId, ObjectId, ShardName};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use super::world_nodes::{OnNode, Wishes};
use crate::environment::{BoxFuture, Entropy};
use crate::gateway::catalog::{CatalogError, Records};
use crate::gateway::core::Core;
use crate::gateway::hash::RunningDigest;
use crate::gateway::{Body, BodyError, Gateway, Metrics, Options, ReadError, UploadError};
use crate::members::Clients;
use crate::shards::{Block, Place, ShardError};

/// A shard as it rests on a disk.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) profile: Profile,
    pub(super) block_size_bytes: u32,
    pub(super) blocks: Vec<Block>,
    pub(super) finished: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) live: BTreeSet<NodeId>,
    pub(super) full: BTreeSet<DiskId>,
    pub(super) slow: BTreeSet<NodeId>,
    pub(super) shards: BTreeMap<(DiskLocation, ShardName), Shard>,
    /// Appends that a node still takes before it dies.
    pub(super) appends_left: BTreeMap<NodeId, u64>,
    /// Finishes that a node still takes before it dies.
    pub(super) finishes_left: BTreeMap<NodeId, u64>,
    /// Appends that a node refuses because it has too much to do.
    pub(super) refusals_left: BTreeMap<NodeId, u64>,
    /// Nodes that have not joined yet.
    pub(super) absent: BTreeSet<NodeId>,
    /// Disks whose syncs fail.
    pub(super) unsyncable: BTreeSet<DiskId>,
    /// Blocks that were read.
    pub(super) reads: Vec<(DiskLocation, ShardName, Range<u64>)>,
    pub(super) commands: Vec<Command>,
    /// The next commands whose answer is lost, applied or not.
    pub(super) lost_answers: Vec<bool>,
    pub(super) repeat_late: bool,
    /// What operators and disks say.
    pub(super) wishes: Wishes,
}

/// The world.
#[derive(Debug)]
pub(super) struct World {
    nodes: Vec<(NodeId, Vec<DiskId>)>,
    engine: Arc<dyn Engine>,
    state: Mutex<State>,
    pub(super) changes: watch::Sender<u64>,
    now: AtomicU64,
    /// Clients of all nodes.
    pub(super) clients: Clients,
    /// Closed gates hold appends back.
    pub(super) gate: Semaphore,
    _directory: TempDir,
}

pub(super) fn small() -> Options {
    Options {
        block_size_bytes: 16,
        extent_size_bytes: 256,
        inline_size_bytes_max: 8,
        batch_size_bytes: 64,
        write_budget_bytes: 64 << 10,
        window_size_bytes: 64,
        read_budget_bytes: 64 << 10,
        hedge_delay: Duration::from_millis(300),
        object_size_bytes_max: 1 << 20,
        upload_lifetime_seconds: 3600,
    }
}

pub(super) fn repository() -> RepositoryName {
    "acme/app".parse().unwrap()
}

/// Bytes that differ everywhere.
pub(super) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|position| u8::try_from((position * 31 + position / 7 + position / 251) % 251).unwrap()).collect()
}

pub(super) fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hash = RunningDigest::new(algorithm);
    hash.update(bytes);
    hash.digest()
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    digest(Algorithm::Sha256, bytes)
}

/// A body in frames of this size.
pub(super) fn body(bytes: &[u8], frame: usize) -> Body {
    let frames: Vec<_> = bytes.chunks(frame).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
    Box::pin(stream::iter(frames))
}

/// A body that breaks off.
pub(super) fn broken(bytes: &[u8], frame: usize) -> Body {
    Box::pin(body(bytes, frame).chain(stream::iter([Err(BodyError::Disconnected)])))
}

#[derive(Debug)]
pub(super) struct Counting(pub(super) AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let mut hash = blake3::Hasher::new();
        hash.update(&number.to_le_bytes());
        hash.finalize_xof().fill(buffer);
    }
}

impl World {
    /// Nodes 1, 2, … with so many disks each.
    pub(super) fn new(disks: &[usize]) -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let engines = MemoryEngines::new(Arc::new(RealFiles));
        let options = EngineOptions { columns: Catalog::COLUMNS, journal: false };
        let engine = engines.open(&directory.path().join("catalog"), &options).unwrap();
        let nodes: Vec<(NodeId, Vec<DiskId>)> = (1..)
            .zip(disks)
            .map(|(node, disks)| {
                let disk = |disk| DiskId([node, disk, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                (NodeId(u64::from(node)), (0..u8::try_from(*disks).unwrap()).map(disk).collect())
            })
            .collect();
        let live = nodes.iter().map(|(node, _)| *node).collect();
        Arc::new(Self {
            nodes,
            engine,
            state: Mutex::new(State { live, ..State::default() }),
            changes: watch::channel(0).0,
            now: AtomicU64::new(1_000_000_000_000),
            clients: Clients::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            _directory: directory,
        })
    }

    /// A gateway on a node.
    pub(super) fn gateway(self: &Arc<Self>, node: u64, options: Options) -> Gateway {
        let own = OnNode::new(self, NodeId(node));
        let entropy = Arc::new(Counting(AtomicU64::new(node << 32)));
        let core = Core::new(
            Arc::clone(self) as Arc<dyn Records>,
            Arc::new(Arc::clone(self)),
            Arc::new(own),
            (entropy, Arc::clone(self) as Arc<dyn Clock>),
            Exec::inline(),
            options,
            Metrics::default(),
        );
        Gateway { core }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn kill(&self, node: u64) {
        self.state().live.remove(&NodeId(node));
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn revive(&self, node: u64) {
        let mut state = self.state();
        state.live.insert(NodeId(node));
        state.appends_left.clear();
        state.finishes_left.clear();
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The node dies with the append after so many.
    pub(super) fn kill_after_appends(&self, node: u64, appends: u64) {
        self.state().appends_left.insert(NodeId(node), appends);
    }

    /// The node dies with the finish after so many.
    pub(super) fn kill_after_finishes(&self, node: u64, finishes: u64) {
        self.state().finishes_left.insert(NodeId(node), finishes);
    }

    /// Writes to the disk fail, although it counts as usable.
    pub(super) fn fill(&self, node: u64, disk: usize) {
        let disk = self.nodes.iter().find(|(id, _)| *id == NodeId(node)).unwrap().1[disk];
        self.state().full.insert(disk);
    }

    /// Syncs of the disk fail, although it counts as usable.
    pub(super) fn break_syncs(&self, node: u64, disk: usize) {
        let disk = self.nodes.iter().find(|(id, _)| *id == NodeId(node)).unwrap().1[disk];
        self.state().unsyncable.insert(disk);
    }

    /// Reads from the node take ten seconds.
    pub(super) fn slow_down(&self, node: u64) {
        self.state().slow.insert(NodeId(node));
    }

    /// The next command's answer is lost.
    pub(super) fn lose_answer(&self, applied: bool) {
        self.state().lost_answers.push(applied);
    }

    /// The next command of an upload is applied, its answer is lost, another request moves the upload, and the command
    /// is repeated.
    pub(super) fn repeat_late(&self) {
        self.state().repeat_late = true;
    }

    /// The node has not joined yet.
    pub(super) fn keep_out(&self, node: u64) {
        let mut state = self.state();
        state.absent.insert(NodeId(node));
        state.live.remove(&NodeId(node));
    }

    /// The node joins.
    pub(super) fn join(&self, node: u64) {
        let mut state = self.state();
        state.absent.remove(&NodeId(node));
        state.live.insert(NodeId(node));
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Nodes that have joined.
    pub(super) fn nodes(&self) -> Vec<(NodeId, Vec<DiskId>)> {
        let state = self.state();
        self.nodes.iter().filter(|(node, _)| !state.absent.contains(node)).cloned().collect()
    }

    /// Lets time pass.
    pub(super) fn wait(&self, seconds: u64) {
        for _ in 0..seconds.div_ceil(3600) {
            self.now.fetch_add(seconds.min(3600) * 1000, Ordering::Relaxed);
            self.apply(RequestId([0xff; 16]), Command::Tick);
        }
    }

    fn apply(&self, request: RequestId, command: Command) -> Response {
        let mut state = self.state();
        state.commands.push(command.clone());
        let stamp = Stamp { time: Timestamp(self.now.fetch_add(1, Ordering::Relaxed)), request };
        let mut transaction = Transaction::new(self.engine.as_ref());
        let response = Catalog::apply(&mut transaction, command, stamp).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        response
    }

    pub(super) fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(Arc::clone(&self.engine))
    }

    /// Names of commands since the last call.
    pub(super) fn commands(&self) -> Vec<String> {
        let commands = std::mem::take(&mut self.state().commands);
        let name = |command: &Command| format!("{command:?}").split([' ', '(']).next().unwrap().to_owned();
        commands.iter().map(name).collect()
    }

    /// Shards on all disks, unfinished ones too.
    pub(super) fn shards(&self) -> Vec<(DiskLocation, ShardName)> {
        self.state().shards.keys().copied().collect()
    }

    /// Shards that no extent of the catalog refers to.
    pub(super) fn strays(&self, objects: &[ObjectId]) -> usize {
        let known: BTreeSet<_> = objects
            .iter()
            .flat_map(|object| self.extents(*object).into_iter().map(|(index, record)| (*object, index, record)))
            .filter_map(|(object, index, record)| Some((object, index, record.body.into_coded()?)))
            .flat_map(|(object, index, coded)| {
                coded.names(object, storage::shard::ExtentIndex(index)).collect::<Vec<_>>()
            })
            .collect();
        self.shards().iter().filter(|shard| !known.contains(shard)).count()
    }

    pub(super) fn extents(&self, object: ObjectId) -> Vec<(u32, ExtentRecord)> {
        let extents = self.view().extents(object, storage::shard::ExtentIndex(0), usize::MAX).unwrap();
        extents.into_iter().map(|(index, record)| (index.0, record)).collect()
    }

    pub(super) fn profiles(&self, object: ObjectId) -> Vec<String> {
        let name = |record: &ExtentRecord| match &record.body {
            ExtentBody::Inline(_) => "inline".to_owned(),
            ExtentBody::Coded(coded) => coded.geometry.profile.to_string(),
        };
        self.extents(object).iter().map(|(_, record)| name(record)).collect()
    }

    pub(super) fn object_of(&self, digest: &Digest) -> ObjectId {
        self.view().blob(digest).unwrap().unwrap().object
    }

    pub(super) fn session_object(&self, session: SessionId) -> ObjectId {
        self.view().upload(session).unwrap().unwrap().object
    }

    /// Flips a bit in every block of a shard.
    pub(super) fn corrupt(&self, place: &(DiskLocation, ShardName)) {
        for block in &mut self.state().shards.get_mut(place).unwrap().blocks {
            let mut bytes = block.bytes.to_vec();
            bytes[0] ^= 1;
            block.bytes = bytes.into();
        }
    }

    pub(super) fn remove(&self, place: &(DiskLocation, ShardName)) {
        self.state().shards.remove(place).unwrap();
    }

    /// Blocks read since the last call.
    pub(super) fn reads(&self) -> Vec<(DiskLocation, ShardName, Range<u64>)> {
        std::mem::take(&mut self.state().reads)
    }

    pub(super) fn check_reachable(&self, place: Place) -> Result<(), ShardError> {
        if self.state().live.contains(&place.location.node) {
            return Ok(());
        }
        Err(ShardError::Unreachable { place, message: "connection refused".to_owned() })
    }

    /// Takes one of what is left; the node dies when nothing is.
    pub(super) fn use_up(
        &self,
        place: Place,
        which: fn(&mut State) -> &mut BTreeMap<NodeId, u64>,
    ) -> Result<(), ShardError> {
        let node = place.location.node;
        if let Some(left) = which(&mut self.state()).get_mut(&node) {
            if *left > 0 {
                *left -= 1;
                return Ok(());
            }
        } else {
            return Ok(());
        }
        // Seen by the writer as an error before anybody knows that the node is dead.
        let mut state = self.state();
        state.live.remove(&node);
        drop(state);
        Err(ShardError::Unreachable { place, message: "connection reset".to_owned() })
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }
}

impl Records for World {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, CatalogError>> {
        Box::pin(async move {
            if std::mem::take(&mut self.state().repeat_late)
                && let Command::AdvanceUpload { session, advance } = &command
            {
                self.apply(request, command.clone());
                let position = self.view().upload(*session).unwrap().unwrap().position;
                let other =
                    Advance { expected: position, extents: Vec::new(), replaced: Vec::new(), ..advance.clone() };
                self.apply(RequestId([7; 16]), Command::AdvanceUpload { session: *session, advance: other });
                return Ok(self.apply(request, command));
            }
            let lost = self.state().lost_answers.pop();
            if lost != Some(false) {
                let response = self.apply(request, command);
                if lost.is_none() {
                    return Ok(response);
                }
            }
            Err(CatalogError::Unavailable { message: "answer lost".to_owned(), uncertain: true })
        })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), CatalogError>> {
        Box::pin(async { Ok(()) })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        Self::view(self)
    }

    fn is_leader(&self) -> bool {
        true
    }
}

/// Pushes content as POST, PATCH and PUT without a body.
pub(super) async fn push(gateway: &Gateway, bytes: &[u8]) -> Result<Digest, UploadError> {
    let upload = gateway.start_upload(&repository(), Algorithm::Sha256, None).await?;
    let after = gateway.append(&repository(), upload.session, Some(0), body(bytes, 37)).await?;
    assert_eq!(after.offset_bytes, bytes.len() as u64);
    let digest = sha256(bytes);
    let published = gateway.finish(&repository(), upload.session, None, digest, body(b"", 1)).await?;
    assert_eq!((published.digest, published.length_bytes), (digest, bytes.len() as u64));
    Ok(digest)
}

/// Reads a range.
pub(super) async fn pull(gateway: &Gateway, digest: &Digest, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let blob = gateway.open_blob(&repository(), digest).await.unwrap();
    let mut stream = blob.read(range).await?;
    let mut bytes = Vec::new();
    while let Some(next) = stream.next().await {
        bytes.extend_from_slice(&next?);
    }
    Ok(bytes)
}

/// Waits until what runs in the background is over.
pub(super) async fn settle(gateway: &Gateway) {
    gateway.core.tasks.close();
    gateway.core.tasks.wait().await;
    gateway.core.tasks.reopen();
}
