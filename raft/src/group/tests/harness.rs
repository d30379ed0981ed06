//! Replicas in one process: a transport of function calls that can be cut, disks that can lose power, and a wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use storage::disk::{Files, RealFiles};
use storage::exec::Exec;
use storage::kv::{Engines, MemoryEngines, RocksEngines};
use storage::seal::Keys;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::toy::{Count, Set, Toy};
use crate::group::{
    Group, GroupOptions, GroupResources, LogStore, ProposeError, Timing, Transport, TransportError, Witness,
};
use crate::id::{GroupId, NodeId, RegionId, RequestId};
use crate::time::{Clock, Timestamp};

pub(super) const GROUP: GroupId = GroupId::Catalog(RegionId(1));

/// Quick, but slow enough for a loaded machine.
pub(super) const TIMING: Timing = Timing {
    heartbeat: Duration::from_millis(60),
    election_min: Duration::from_millis(300),
    election_max: Duration::from_millis(600),
};

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
}

/// All replicas that can be reached, and who cannot hear whom.
#[derive(Debug)]
pub(super) struct Net {
    started: Instant,
    replicas: Mutex<BTreeMap<NodeId, Weak<Group<Toy>>>>,
    isolated: Mutex<BTreeSet<NodeId>>,
    snapshots: AtomicU64,
    trace: Mutex<Vec<String>>,
}

impl Net {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            replicas: Mutex::default(),
            isolated: Mutex::default(),
            snapshots: AtomicU64::new(0),
            trace: Mutex::default(),
        }
    }

    fn find(&self, from: NodeId, to: NodeId) -> Result<Arc<Group<Toy>>, TransportError> {
        let isolated = self.isolated.lock().unwrap();
        let replica = self.replicas.lock().unwrap().get(&to).and_then(Weak::upgrade);
        match replica {
            Some(replica) if !isolated.contains(&from) && !isolated.contains(&to) => Ok(replica),
            _ => Err(TransportError::Unreachable("cut".to_owned())),
        }
    }

    pub(super) fn isolate(&self, node: NodeId) {
        self.isolated.lock().unwrap().insert(node);
    }

    pub(super) fn heal(&self) {
        self.isolated.lock().unwrap().clear();
    }

    /// Every call so far: when, from whom, to whom, and a hash of what.
    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.lock().unwrap().clone()
    }

    pub(super) fn snapshots_sent(&self) -> u64 {
        self.snapshots.load(Ordering::SeqCst)
    }
}

/// One node's way into the net.
#[derive(Debug)]
struct End {
    net: Arc<Net>,
    from: NodeId,
}

impl Transport for End {
    fn call<'a>(
        &'a self,
        target: NodeId,
        address: &'a str,
        group: GroupId,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move {
            assert_eq!(group, GROUP);
            if address.is_empty() {
                return Err(TransportError::Unreachable("its address is not known".to_owned()));
            }
            assert_eq!(address, format!("node-{target}"));
            assert!(request.len() <= crate::group::MESSAGE_LIMIT_BYTES);
            let hash = blake3::hash(&request).to_hex();
            let line = format!("{:?} {} {target} {hash}", self.net.started.elapsed(), self.from);
            self.net.trace.lock().unwrap().push(line);
            let replica = self.net.find(self.from, target)?;
            let answer = timeout(deadline, replica.handle(request)).await.map_err(|_| TransportError::Timeout)?;
            let answer = answer.map_err(|error| TransportError::Remote(error.to_string()))?;
            self.net.find(self.from, target).map_err(|_| TransportError::Timeout)?;
            Ok(answer)
        })
    }

    fn send_snapshot<'a>(
        &'a self,
        target: NodeId,
        _address: &'a str,
        _group: GroupId,
        frames: BoxStream<'static, Bytes>,
        _idle: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let replica = self.net.find(self.from, target)?;
            self.net.snapshots.fetch_add(1, Ordering::SeqCst);
            let frames = frames.map(Ok::<_, String>);
            replica.receive_snapshot(frames).await.map_err(|error| TransportError::Remote(error.to_string()))
        })
    }
}

/// What stands for a node's disk.
pub(super) struct Machines {
    directory: TempDir,
    pub(super) files: Arc<dyn Files>,
    pub(super) engines: Arc<dyn Engines>,
}

impl Machines {
    pub(super) fn rocks() -> Self {
        Self::with(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())))
    }

    pub(super) fn memory() -> (Self, MemoryEngines) {
        let files: Arc<dyn Files> = Arc::new(RealFiles);
        let engines = MemoryEngines::new(Arc::clone(&files));
        (Self::with(files, Arc::new(engines.clone())), engines)
    }

    pub(super) fn with(files: Arc<dyn Files>, engines: Arc<dyn Engines>) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), files, engines }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A started node.
pub(super) struct Node {
    pub(super) group: Arc<Group<Toy>>,
    pub(super) log: Arc<LogStore>,
}

impl Node {
    pub(super) async fn set(&self, key: &str, value: impl Into<Bytes>) -> Result<Count, ProposeError> {
        self.group.propose(RequestId([7; 16]), Set { key: key.to_owned(), value: value.into() }).await
    }

    /// Stops it cleanly; its engines are closed when this returns.
    pub(super) async fn stop(self) {
        self.group.shutdown().await;
        self.log.close().await;
        // A peer's call that was on its way when it stopped holds it until it is answered.
        wait_for("nobody to hold the group", || Arc::strong_count(&self.group) == 1).await;
        drop(self.group);
        assert_eq!(Arc::strong_count(&self.log), 1, "somebody still holds the log");
    }
}

/// A cluster whose nodes start and stop.
pub(super) struct Cluster {
    pub(super) net: Arc<Net>,
    pub(super) machines: Machines,
    pub(super) snapshot_after_entries: u64,
    pub(super) timing: Timing,
    pub(super) exec: Exec,
    pub(super) witness: Option<Arc<dyn Witness>>,
    /// Engines of nodes that have their own.
    pub(super) engines: BTreeMap<u64, Arc<dyn Engines>>,
}

impl Cluster {
    pub(super) fn new(machines: Machines) -> Self {
        Self {
            net: Arc::new(Net::new()),
            machines,
            snapshot_after_entries: 10_000,
            timing: TIMING,
            exec: Exec::threads(),
            witness: None,
            engines: BTreeMap::new(),
        }
    }

    pub(super) async fn start(&self, id: u64) -> Node {
        let node = NodeId(id);
        let log_directory = self.machines.path(&format!("{id}-log"));
        let engines = Arc::clone(self.engines.get(&id).unwrap_or(&self.machines.engines));
        let log = LogStore::open(Arc::clone(&engines), &log_directory, self.exec).await.unwrap();
        let mut options =
            GroupOptions::new(GROUP, node, format!("node-{id}"), self.machines.path(&format!("{id}-group")));
        options.timing = self.timing;
        options.snapshot_after_entries = self.snapshot_after_entries;
        let resources = GroupResources {
            log: Arc::clone(&log),
            engines,
            files: Arc::clone(&self.machines.files),
            exec: self.exec,
            clock: Arc::new(Stopped),
            transport: Arc::new(End { net: Arc::clone(&self.net), from: node }),
            witness: self.witness.clone(),
        };
        let group = Group::open(options, resources).await.unwrap();
        self.net.replicas.lock().unwrap().insert(node, Arc::downgrade(&group));
        Node { group, log }
    }

    /// Nodes `1..=count`, all of them voters.
    pub(super) async fn start_voters(&self, count: u64) -> Vec<Node> {
        let mut nodes = vec![self.start(1).await];
        nodes[0].group.initialize().await.unwrap();
        wait_for("the first leader", || nodes[0].group.is_leader()).await;
        for id in 2..=count {
            nodes.push(self.start(id).await);
            retry("adding a learner", || nodes[0].group.add_learner(NodeId(id), format!("node-{id}"))).await;
        }
        let voters: BTreeSet<NodeId> = (1..=count).map(NodeId).collect();
        retry("changing voters", || nodes[0].group.change_voters(voters.clone())).await;
        nodes
    }
}

/// The node among these that leads and that all of them follow.
pub(super) async fn leader(nodes: &[&Node]) -> usize {
    let agreed = || {
        let leader = nodes[0].group.leader()?;
        let all = nodes.iter().all(|node| node.group.leader() == Some(leader));
        let index = nodes.iter().position(|node| node.group.options.node == leader)?;
        (all && nodes[index].group.is_leader()).then_some(index)
    };
    wait_for("a leader that all follow", || agreed().is_some()).await;
    agreed().unwrap_or(0)
}

/// Waits for a condition, at most twenty seconds.
pub(super) async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Repeats until it succeeds, at most twenty seconds.
pub(super) async fn retry<F, E>(what: &str, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Debug,
{
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = attempt().await {
        assert!(Instant::now() < deadline, "{what}: {error:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
