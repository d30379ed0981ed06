//! A directory for tests of any room: the pure state machine, founded with one node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use raft::directory::{Command, Directory, FirstAccess, NodeInfo, Response, View};
use raft::group::{ProposeError, ReadError};
use raft::id::RequestId;
use raft::machine::{Machine, Stamp, Transaction};
use raft::time::Timestamp;
use storage::disk::RealFiles;
use storage::kv::{Engine, EngineOptions, Engines, MemoryEngines};
use tempfile::TempDir;
use tokio::sync::watch;

use super::DirectoryRecords;
use crate::environment::BoxFuture;

#[derive(Debug)]
struct MemoryDirectory {
    engine: Arc<dyn Engine>,
    now: AtomicU64,
    changes: watch::Sender<u64>,
    _directory: TempDir,
}

/// A directory in which nothing is set.
pub(crate) fn directory() -> Arc<dyn DirectoryRecords> {
    let directory = tempfile::tempdir().unwrap();
    let options = EngineOptions { columns: Directory::COLUMNS, journal: false };
    let engine = MemoryEngines::new(Arc::new(RealFiles)).open(&directory.path().join("directory"), &options).unwrap();
    let memory = MemoryDirectory {
        engine,
        now: AtomicU64::new(1_000_000_000_000),
        changes: watch::channel(0).0,
        _directory: directory,
    };
    let node = NodeInfo {
        name: "node-1".to_owned(),
        zone: "default".to_owned(),
        peer_address: "node-1:7000".to_owned(),
        api_url: "http://node-1:5000".to_owned(),
        disks: Vec::new(),
        feature_level: 1,
        version: "1".to_owned(),
    };
    let found = Command::Found {
        cluster: [1; 16],
        ca_certificate: Bytes::new(),
        wrapped_ca_key: Bytes::new(),
        feature_level: 1,
        region: "main".to_owned(),
        node,
        access: FirstAccess::default(),
    };
    assert!(matches!(memory.apply(RequestId([1; 16]), found), Response::Admitted { .. }));
    Arc::new(memory)
}

impl MemoryDirectory {
    fn apply(&self, request: RequestId, command: Command) -> Response {
        let stamp = Stamp { time: Timestamp(self.now.fetch_add(1, Ordering::Relaxed)), request };
        let mut transaction = Transaction::new(self.engine.as_ref());
        let response = Directory::apply(&mut transaction, command, stamp).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        self.changes.send_modify(|applied| *applied += 1);
        response
    }
}

impl DirectoryRecords for MemoryDirectory {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>> {
        Box::pin(async move { Ok(self.apply(request, command)) })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async { Ok(()) })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(Arc::clone(&self.engine))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
