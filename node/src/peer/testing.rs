//! A network in memory and small nodes on it, for the tests of peers, shards and members.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::middleware::Next;
use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use raft::id::{GroupId, NodeId, RegionId};
use raft::time::{Clock, Timestamp};
use storage::disk::{Disks, KnownDisks, RealFiles, Reserve};
use storage::exec::Exec;
use storage::seal::Keys;
use tokio::sync::mpsc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{
    AdminAnswer, AdminRequest, Administration, Admission, Frames, Groups, GroupsError, JoinAnswer, JoinError,
    JoinRequest, Metrics, PeerIdentity, Peers, Security, Server, Trust, limits, router,
};
use crate::environment::{BoxFuture, BoxStream, Listener, Network};
use crate::members::testing::FixedSource;
use crate::members::{Members, MembersOptions, MembersResources};
use crate::shards::{LocalShards, Shards};

/// Listeners by address; connections are pipes.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryNetwork {
    listeners: Arc<Mutex<BTreeMap<String, mpsc::Sender<BoxStream>>>>,
}

#[derive(Debug)]
struct MemoryListener(tokio::sync::Mutex<mpsc::Receiver<BoxStream>>);

impl Listener for MemoryListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async {
            let stream = self.0.lock().await.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok((stream, SocketAddr::from((Ipv4Addr::LOCALHOST, 1))))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }
}

impl Network for MemoryNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        let (sender, receiver) = mpsc::channel(16);
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), sender);
        Box::pin(async { Ok(Box::new(MemoryListener(receiver.into())) as Box<dyn Listener>) })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        let listener = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(256 << 10);
            let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
            listener.send(Box::new(far)).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(near) as BoxStream)
        })
    }

    fn listen_local<'a>(&'a self, _path: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// A snapshot that takes a minute to install.
pub(crate) const SLOW_SNAPSHOT: &[u8] = b"slow";

/// Groups that answer with what they were sent.
#[derive(Debug)]
struct Echo;

impl Groups for Echo {
    fn call(&self, group: GroupId, payload: Bytes) -> BoxFuture<'_, Result<Bytes, GroupsError>> {
        Box::pin(async move {
            match group {
                GroupId::Directory => Ok(payload),
                GroupId::Catalog(_) => Err(GroupsError::Unknown(group)),
            }
        })
    }

    fn snapshot(&self, _group: GroupId, mut frames: Frames) -> BoxFuture<'_, Result<Bytes, GroupsError>> {
        Box::pin(async move {
            let mut all = Vec::new();
            while let Some(frame) = frames.next().await {
                all.extend_from_slice(&frame.map_err(|error| GroupsError::Failed(error.to_string()))?);
            }
            if all == SLOW_SNAPSHOT {
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
            Ok(Bytes::from(all))
        })
    }
}

impl Admission for Echo {
    fn join(&self, request: JoinRequest) -> BoxFuture<'_, Result<JoinAnswer, JoinError>> {
        Box::pin(async move {
            if request.token != "good" {
                return Err(JoinError::Refused("the join token is not valid for this cluster".to_owned()));
            }
            Ok(JoinAnswer {
                node: NodeId(9),
                region: RegionId(1),
                founds: false,
                certificates: vec![request.certificate_request],
                cluster: [7; 16],
                cluster_key: Bytes::from_static(b"key"),
                members: vec![(NodeId(1), "node-1".to_owned())],
            })
        })
    }
}

impl Administration for Echo {
    fn answer(&self, _from: PeerIdentity, request: AdminRequest) -> BoxFuture<'static, AdminAnswer> {
        Box::pin(async move {
            let text = format!("{} {}: ", request.method, request.path);
            AdminAnswer { status: StatusCode::IM_A_TEAPOT, body: [text.as_bytes(), &request.body].concat().into() }
        })
    }
}

/// A clock that stands still, as wrong as the test wants it.
#[derive(Debug)]
pub(crate) struct FixedClock(pub(crate) u64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

/// A node with one disk, without groups.
pub(crate) struct TestNode {
    pub(crate) id: NodeId,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) disks: Arc<Disks>,
    pub(crate) peers: Peers,
    pub(crate) members: Members,
    pub(crate) local: LocalShards,
    pub(crate) shards: Shards,
    pub(crate) shard_metrics: crate::shards::Metrics,
    network: MemoryNetwork,
    trust: Trust,
    /// What clients of other regions are answered by.
    pub(crate) api: Router,
    /// What operators at other nodes are answered by.
    pub(crate) administration: Arc<dyn Administration>,
    frozen: Arc<AtomicBool>,
    serving: Option<AbortOnDropHandle<()>>,
}

/// Address of a test node.
pub(crate) fn address(node: NodeId) -> String {
    format!("node-{node}")
}

impl TestNode {
    /// Starts a node that serves its peers.
    pub(crate) async fn start(network: &MemoryNetwork, source: &FixedSource, id: u64, trust: Trust) -> Self {
        let mut node = Self::prepare(network, source, id, trust, 1_000_000).await;
        node.serve().await;
        node
    }

    /// Starts a node whose peer port is not open yet.
    pub(crate) async fn prepare(
        network: &MemoryNetwork,
        source: &FixedSource,
        id: u64,
        trust: Trust,
        clock: u64,
    ) -> Self {
        let id = NodeId(id);
        let directory = tempfile::tempdir().unwrap();
        let mut next = u8::try_from(id.0).unwrap();
        let (directories, known) = ([directory.path().join("disk")], KnownDisks::default());
        let disks =
            Disks::open(Arc::new(RealFiles), &directories, &known, Reserve { percent: 0 }, &Keys::clear(), &mut || {
                next += 100;
                [next; 16]
            })
            .unwrap();
        let disks = Arc::new(disks);
        let region = source.region_of(id);
        let peers = Peers::new(id, region, Arc::new(network.clone()), Security::Plaintext, Metrics::default());
        let resources = MembersResources {
            source: Arc::new(source.seen_from(region)),
            peers: peers.clone(),
            disks: Arc::clone(&disks),
            clock: Arc::new(FixedClock(clock)),
            exec: Exec::threads(),
            metrics: crate::members::Metrics::default(),
        };
        let options = MembersOptions { own: id, region, version: "test".to_owned() };
        let members = Members::start(options, resources).await;
        let shard_metrics = crate::shards::Metrics::default();
        let local = LocalShards::new(id, Arc::clone(&disks), Exec::threads(), shard_metrics.clone());
        let shards = Shards::new(local.clone(), peers.clone(), members.clone(), Exec::threads());
        let network = network.clone();
        Self {
            id,
            directory,
            disks,
            peers,
            members,
            local,
            shards,
            shard_metrics,
            network,
            trust,
            api: Router::new(),
            administration: Arc::new(Echo),
            frozen: Arc::default(),
            serving: None,
        }
    }

    /// Opens the peer port.
    pub(crate) async fn serve(&mut self) {
        let listener = self.network.listen(&address(self.id)).await.unwrap();
        let app = router(Server {
            trust: self.trust,
            groups: Arc::new(Echo),
            members: self.members.clone(),
            shards: self.local.clone(),
            admission: Arc::new(Echo),
            administration: Arc::clone(&self.administration),
            api: self.api.clone(),
            forwarded: TaskTracker::new(),
            metrics: Metrics::default(),
        });
        let frozen = Arc::clone(&self.frozen);
        let app = app.layer(axum::middleware::from_fn(move |request: axum::extract::Request, next: Next| {
            let frozen = frozen.load(Ordering::SeqCst);
            async move { if frozen { std::future::pending().await } else { next.run(request).await } }
        }));
        let accepting = async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(app.clone());
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
                    .max_frame_size(limits::HTTP_FRAME_BYTES)
                    .max_concurrent_streams(limits::STREAMS_LIMIT)
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(connection);
            }
        };
        self.serving = Some(AbortOnDropHandle::new(tokio::spawn(accepting)));
    }

    /// Takes requests, and does not answer them while frozen.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Cuts every connection and closes the peer port.
    pub(crate) fn stop_serving(&mut self) {
        self.serving = None;
        self.network.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(&address(self.id));
    }
}
