//! What was acknowledged survives a loss of power; many waiters share a sync; groups share a log.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::vote::RaftLeaderId;
use storage::disk::RealFiles;
use storage::exec::Exec;
use storage::kv::{Batch, Bytes, Column, Engine, EngineError, EngineOptions, Engines, MemoryEngines, Pair, Scan};
use storage::seal::{CheckpointReader, CheckpointWriter, Seals};
use tokio::time::{sleep, timeout};

use super::harness::{Cluster, GROUP, Machines, wait_for};
use super::toy::value;
use crate::group::LogStore;
use crate::group::config::{Entry, LeaderId, LogId, Payload, Proposal, Vote};
use crate::id::{GroupId, RequestId};
use crate::machine::Stamp;
use crate::time::Timestamp;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_entries_survive_a_loss_of_power() {
    let (machines, power) = Machines::memory();
    let mut cluster = Cluster::new(machines);
    cluster.snapshot_after_entries = 100;
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..6 {
        let node = Arc::new(cluster.start(1).await);
        node.group.initialize().await.unwrap();
        node.group.read_barrier().await.unwrap();
        for key in &acknowledged {
            assert!(value(node.group.state().as_ref(), key).is_some(), "{key} was acknowledged");
        }
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    for number in 0.. {
                        let key = format!("{round}-{writer}-{number}");
                        match timeout(Duration::from_secs(2), node.set(&key, "value")).await {
                            Ok(Ok(_)) => done.push(key),
                            _ => return done,
                        }
                    }
                    done
                })
            })
            .collect();
        sleep(Duration::from_millis(150)).await;
        power.power_loss();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        let Ok(node) = Arc::try_unwrap(node) else { panic!("the writers are gone") };
        node.group.shutdown().await;
        node.log.close().await;
    }
    assert!(acknowledged.len() > 100, "only {} writes", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_power_together_keeps_what_it_acknowledged() {
    let (machines, power) = Machines::memory();
    let cluster = Cluster::new(machines);
    let mut nodes = cluster.start_voters(3).await;
    let mut acknowledged: u64 = 0;
    for _ in 0..4 {
        let writes = async {
            loop {
                let writer = &nodes[usize::try_from(acknowledged % 3).unwrap()];
                writer.set(&acknowledged.to_string(), "value").await.unwrap();
                acknowledged += 1;
            }
        };
        let _ = timeout(Duration::from_millis(200), writes).await;
        power.power_loss();
        for node in nodes {
            node.group.shutdown().await;
            node.log.close().await;
        }
        nodes = Vec::new();
        for id in 1..=3 {
            nodes.push(cluster.start(id).await);
        }
        for node in &nodes {
            node.group.read_barrier().await.unwrap();
            for key in 0..acknowledged {
                assert!(value(node.group.state().as_ref(), &key.to_string()).is_some(), "{key} was acknowledged");
            }
        }
    }
    assert!(acknowledged > 10, "only {acknowledged} writes");
    for node in nodes {
        node.stop().await;
    }
}

/// Engines that count how often a journalled engine is synced, and take their time over it.
#[derive(Debug)]
struct Counting {
    inner: MemoryEngines,
    syncs: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingEngine {
    inner: Arc<dyn Engine>,
    syncs: Arc<AtomicU64>,
}

impl Engines for Counting {
    fn open(&self, directory: &Path, options: &EngineOptions) -> Result<Arc<dyn Engine>, EngineError> {
        let inner = self.inner.open(directory, options)?;
        if !options.journal {
            return Ok(inner);
        }
        Ok(Arc::new(CountingEngine { inner, syncs: Arc::clone(&self.syncs) }))
    }

    fn read_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointReader>> {
        self.inner.read_checkpoint_file(path)
    }

    fn create_checkpoint_file(&self, path: &Path) -> io::Result<Box<dyn CheckpointWriter>> {
        self.inner.create_checkpoint_file(path)
    }

    fn rewrite_checkpoint(&self, directory: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        self.inner.rewrite_checkpoint(directory, goes_on)
    }
}

impl Engine for CountingEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.inner.get(column, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.inner.scan(scan)
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.inner.write(batch)
    }

    #[expect(clippy::disallowed_methods, reason = "a slow disk")]
    fn sync(&self) -> Result<(), EngineError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        self.inner.sync()
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        self.inner.checkpoint(directory)
    }

    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        self.inner.rewrite(goes_on)
    }

    fn seals(&self) -> Result<Seals, EngineError> {
        self.inner.seals()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_on_one_log_do_not_see_or_purge_each_other() {
    let machines = Machines::rocks();
    let log = LogStore::open(Arc::clone(&machines.engines), &machines.path("log"), Exec::threads()).await.unwrap();
    let mut busy = log.group(GROUP, 8 << 20, None);
    let mut idle = log.group(GroupId::Directory, 8 << 20, None);
    let entry = |index| Entry::new(LogId::new(LeaderId::new(1, 1), index), Payload::Blank);
    idle.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    idle.blocking_append([entry(0), entry(1)]).await.unwrap();
    for round in 0..50 {
        busy.blocking_append((round * 20..(round + 1) * 20).map(entry)).await.unwrap();
    }
    busy.purge(entry(900).log_id).await.unwrap();
    busy.truncate_after(Some(entry(950).log_id)).await.unwrap();
    assert_eq!(busy.try_get_log_entries(0..2000).await.unwrap(), (901..=950).map(entry).collect::<Vec<_>>());
    assert_eq!(idle.try_get_log_entries(0..2000).await.unwrap(), [entry(0), entry(1)]);
    assert_eq!(idle.get_log_state().await.unwrap().last_purged_log_id, None);
    assert_eq!(busy.read_vote().await.unwrap(), None);
    idle.truncate_after(None).await.unwrap();
    assert_eq!(idle.get_log_state().await.unwrap().last_log_id, None);
    assert_eq!(busy.get_log_state().await.unwrap().last_log_id, Some(entry(950).log_id));
}

#[tokio::test]
async fn log_reads_are_bounded_in_bytes_but_return_something() {
    let machines = Machines::memory().0;
    let log = LogStore::open(Arc::clone(&machines.engines), &machines.path("log"), Exec::inline()).await.unwrap();
    let mut log = log.group(GROUP, 1000, None);
    let stamp = Stamp { time: Timestamp(0), request: RequestId([0; 16]) };
    let entry = |index: u64| {
        let proposal = Proposal { stamp, command: vec![0; 400].into() };
        Entry::new(LogId::new(LeaderId::new(1, 1), index), Payload::Normal(proposal))
    };
    log.blocking_append((0..40).map(entry)).await.unwrap();
    log.blocking_append([Entry::new(
        LogId::new(LeaderId::new(1, 1), 40),
        Payload::Normal(Proposal { stamp, command: vec![0; 5000].into() }),
    )])
    .await
    .unwrap();
    assert_eq!(log.limited_get_log_entries(0, 41).await.unwrap().len(), 2);
    assert_eq!(log.limited_get_log_entries(40, 41).await.unwrap().len(), 1);
    assert_eq!(log.try_get_log_entries(0..41).await.unwrap().len(), 41);
    let streamed: Vec<_> = log.entries_stream(3..41).await.try_collect().await.unwrap();
    assert_eq!(streamed.len(), 38);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_proposals_share_syncs() {
    const PROPOSALS: u64 = 400;
    let syncs = Arc::new(AtomicU64::new(0));
    let engines = Counting { inner: MemoryEngines::new(Arc::new(RealFiles)), syncs: Arc::clone(&syncs) };
    let cluster = Cluster::new(Machines::with(Arc::new(RealFiles), Arc::new(engines)));
    let node = Arc::new(cluster.start(1).await);
    node.group.initialize().await.unwrap();
    wait_for("a leader", || node.group.is_leader()).await;
    let before = syncs.load(Ordering::SeqCst);
    let proposals: Vec<_> = (0..PROPOSALS)
        .map(|number| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { node.set(&number.to_string(), "value").await.unwrap() })
        })
        .collect();
    for proposal in proposals {
        proposal.await.unwrap();
    }
    let used = syncs.load(Ordering::SeqCst) - before;
    assert!(used > 0 && used < PROPOSALS / 4, "{used} syncs for {PROPOSALS} proposals");
    let Ok(node) = Arc::try_unwrap(node) else { panic!("the proposals are done") };
    node.stop().await;
}

#[tokio::test]
async fn a_log_knows_whom_it_belongs_to_and_an_empty_one_does_not() {
    let (machines, memory) = Machines::memory();
    let open = async || LogStore::open(Arc::clone(&machines.engines), &machines.path("log"), Exec::inline()).await;
    let log = open().await.unwrap();
    assert_eq!(log.owner().await.unwrap(), None);
    let mut group = log.group(GROUP, 1000, None);
    group.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    assert_eq!(log.owner().await.unwrap(), None);
    log.set_owner(Bytes::from_static(b"node 1")).await.unwrap();
    log.close().await;
    drop((log, group));
    memory.power_loss();
    let log = open().await.unwrap();
    assert_eq!(log.owner().await.unwrap(), Some(Bytes::from_static(b"node 1")));
    assert_eq!(log.group(GROUP, 1000, None).read_vote().await.unwrap(), Some(Vote::new_committed(1, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_ahead_of_its_log_starts_with_a_snapshot() {
    let cluster = Cluster::new(Machines::rocks());
    for purged in [false, true] {
        let node = cluster.start(1).await;
        node.group.initialize().await.unwrap();
        wait_for("the leader", || node.group.is_leader()).await;
        for number in 0..20 {
            node.set(&number.to_string(), "value").await.unwrap();
        }
        let applied = *node.group.applied().borrow();
        node.stop().await;
        // What a crash takes of a log that was not synced; or what openraft leaves of one that was found like that.
        let path = cluster.machines.path("1-log");
        let log = LogStore::open(Arc::clone(&cluster.machines.engines), &path, Exec::threads()).await.unwrap();
        let mut entries = log.group(GROUP, 1 << 20, None);
        let last = entries.get_log_state().await.unwrap().last_log_id.unwrap();
        if purged {
            entries.purge(last).await.unwrap();
        } else {
            entries.truncate_after(Some(LogId { index: last.index - 5, ..last })).await.unwrap();
        }
        drop(entries);
        log.close().await;
        drop(log);
        let node = cluster.start(1).await;
        node.group.read_barrier().await.unwrap();
        assert!(node.group.status().snapshot_index >= Some(applied), "the log is purged up to the state");
        assert!(value(node.group.state().as_ref(), "19").is_some());
        node.set("more", "value").await.unwrap();
        node.stop().await;
    }
}
