//! A directory on the in-memory engine, and makers of its commands.

use std::sync::Arc;

use storage::disk::RealFiles;
use storage::kv::{Bytes, Engine, EngineOptions, Engines, MemoryEngines};
use storage::shard::DiskId;
use tempfile::TempDir;

use crate::directory::*;
use crate::id::{NodeId, RegionId, RequestId};
use crate::machine::{Machine, Stamp, Transaction};
use crate::time::Timestamp;

pub(super) struct Store {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) now: Timestamp,
    requests: u64,
    _directory: TempDir,
}

impl Store {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = EngineOptions { columns: Directory::COLUMNS, journal: false };
        let engine = MemoryEngines::new(Arc::new(RealFiles)).open(&directory.path().join("state"), &options).unwrap();
        Self { engine, now: Timestamp(1_000_000_000_000), requests: 0, _directory: directory }
    }

    /// A directory with a cluster of one node, called `one`.
    pub(super) fn founded() -> Self {
        let mut store = Self::new();
        let response = store.apply(found("one"));
        assert_eq!(response, Response::Admitted { node: NodeId(1), region: RegionId(1), founds: true });
        store
    }

    /// Applies a command as a new request.
    pub(super) fn apply(&mut self, command: Command) -> Response {
        self.requests += 1;
        self.repeat(command)
    }

    /// Sets a namespace, made from the policies of now.
    pub(super) fn set(&mut self, prefix: &str, record: NamespaceRecord) -> Response {
        let made_from = self.view().policy_version().unwrap();
        self.apply(Command::SetNamespace { prefix: prefix.to_owned(), record, made_from })
    }

    /// Applies a command under the request of the last one.
    pub(super) fn repeat(&mut self, command: Command) -> Response {
        self.repeat_of(self.requests, command)
    }

    /// The number of the last request.
    pub(super) const fn last_request(&self) -> u64 {
        self.requests
    }

    /// Applies a command under the request of this number.
    pub(super) fn repeat_of(&mut self, request: u64, command: Command) -> Response {
        let mut transaction = Transaction::new(self.engine.as_ref());
        let stamp = Stamp { time: self.now, request: RequestId(u128::from(request).to_be_bytes()) };
        let response = Directory::apply(&mut transaction, command, stamp).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        response
    }

    /// Admits a node of this name by a token of its own.
    pub(super) fn join(&mut self, name: &str) -> Response {
        let token = self.token();
        self.apply(admit(token, name))
    }

    /// Admits a node by a token of its own, in another one's place if one is named.
    pub(super) fn join_as(&mut self, node: NodeInfo, replaces: Option<u64>) -> Response {
        let token = self.token();
        self.apply(admit_as(token, node, replaces.map(NodeId)))
    }

    /// A token that nobody has used.
    pub(super) fn token(&mut self) -> [u8; 8] {
        let token = self.requests.to_be_bytes();
        self.apply(Command::AddJoinToken { token, secret_hash: [1; 32], lifetime_seconds: 60 });
        token
    }

    /// Admits a node to a region by a token of its own.
    pub(super) fn join_to(&mut self, region: &str, name: &str) -> Response {
        let token = self.token();
        self.apply(admit_to(region, token, info(name), None))
    }

    /// Admits a node to a region, which then says that it runs.
    pub(super) fn run_in(&mut self, region: &str, name: &str) -> NodeId {
        let Response::Admitted { node, .. } = self.join_to(region, name) else { panic!("{name} is not admitted") };
        assert_eq!(self.apply(Command::UpdateNode { node, info: info(name) }), Response::Done);
        node
    }

    /// Adds a region without a node.
    pub(super) fn add_region(&mut self, name: &str) -> RegionId {
        assert_eq!(self.apply(Command::AddRegion { name: name.to_owned() }), Response::Done);
        self.view().region_named(name).unwrap().unwrap().0
    }

    /// Admits a node, which then says that it runs.
    pub(super) fn run(&mut self, name: &str) -> NodeId {
        let Response::Admitted { node, .. } = self.join(name) else { panic!("{name} is not admitted") };
        assert_eq!(self.apply(Command::UpdateNode { node, info: info(name) }), Response::Done);
        node
    }

    pub(super) fn node(&self, node: u64) -> NodeRecord {
        self.view().node(NodeId(node)).unwrap().unwrap()
    }

    pub(super) fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(self.engine.clone())
    }
}

pub(super) fn info(name: &str) -> NodeInfo {
    NodeInfo {
        name: name.to_owned(),
        zone: "rack-1".to_owned(),
        peer_address: format!("{name}:5001"),
        api_url: format!("https://{name}:5000"),
        disks: vec![DiskInfo { id: DiskId([1; 16]), capacity_bytes: 1 << 40 }],
        feature_level: 2,
        version: "0.1.0".to_owned(),
    }
}

pub(super) fn found(name: &str) -> Command {
    Command::Found {
        cluster: [9; 16],
        ca_certificate: Bytes::from_static(b"certificate"),
        wrapped_ca_key: Bytes::from_static(b"key"),
        feature_level: 1,
        region: "home".to_owned(),
        node: info(name),
        access: FirstAccess::default(),
    }
}

pub(super) fn admit(token: [u8; 8], name: &str) -> Command {
    admit_as(token, info(name), None)
}

pub(super) fn admit_as(token: [u8; 8], node: NodeInfo, replaces: Option<NodeId>) -> Command {
    admit_to("home", token, node, replaces)
}

pub(super) fn admit_to(region: &str, token: [u8; 8], node: NodeInfo, replaces: Option<NodeId>) -> Command {
    Command::AdmitNode { token, secret_hash: [1; 32], region: region.to_owned(), node, replaces }
}

pub(super) fn refused(refusal: Refusal) -> Response {
    Response::Refused(refusal)
}
